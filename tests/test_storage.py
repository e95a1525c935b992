"""Files are written whole or not at all, and never in the place of a device."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from snapq.errors import StorageError
from snapq.storage import atomic_folder, storage_errors, write_bytes


def device(folder: Path) -> Path:
    """A device of its own that takes and gives nothing, as `/dev/null` does."""
    path = folder / "null"
    try:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root makes devices")
    return path


def test_a_device_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    path = device(tmp_path)
    link = tmp_path / "link"
    link.symlink_to(path)
    for place in (path, link):
        with pytest.raises(StorageError, match="a device"):
            write_bytes(place, b"x")
        with pytest.raises(StorageError, match="a device"), atomic_folder(place):
            pass
    assert stat.S_ISCHR(path.stat().st_mode)
    assert link.is_symlink()


def test_a_link_to_an_open_stream_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    link = tmp_path / "stdout"
    with (tmp_path / "file").open("wb") as file:
        link.symlink_to(f"/proc/self/fd/{file.fileno()}")
        with pytest.raises(StorageError, match="a device"):
            write_bytes(link, b"x")
    assert link.is_symlink()


def test_a_pipe_that_stands_in_the_place_of_a_file_is_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    write_bytes(tmp_path / "pipe", b"x")
    assert (tmp_path / "pipe").read_bytes() == b"x"


def test_a_folder_in_the_place_of_a_file_has_a_hint(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught, storage_errors(tmp_path):
        tmp_path.read_text()
    assert caught.value.hint == "Name a file in it."
