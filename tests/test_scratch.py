"""Temporary folders go with their process, or with a later one where it was killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from snapq.scratch import Scratch

HOLD = """
import sys
from snapq.scratch import Scratch
held = Scratch()
print(held.path, flush=True)
"""
# No file may have a byte: root could write in a folder of any mode.
NOWHERE = """
import resource
from snapq.scratch import Scratch
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
Scratch()
"""


def start(folder: Path, code: str) -> tuple[subprocess.Popen[str], Path]:
    """A process that has a temporary folder in `folder`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD + code],
        env={"TMPDIR": str(folder), "PYTHONPATH": ":".join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_folders_of_the_dead_go_and_those_of_the_living_stay(tmp_path: Path) -> None:
    living, kept = start(tmp_path, "sys.stdin.read()")
    dead, left = start(tmp_path, "sys.stdin.read()")
    dead.kill()
    dead.communicate()
    (left / "model.onnx").write_bytes(b"large")
    strangers = tmp_path / "snapq-of-somebody"
    strangers.mkdir()
    link = tmp_path / "snapq-link"
    link.symlink_to(left)
    later, own = start(tmp_path, "")
    later.communicate()
    assert not left.exists()
    assert kept.exists()
    assert strangers.exists()
    assert link.is_symlink()
    assert not own.exists(), "its own go at its end"
    living.communicate()
    assert not kept.exists()


def test_a_folder_goes_when_its_block_or_its_object_ends() -> None:
    with Scratch() as scratch:
        (scratch.path / "file").write_text("x")
    assert not scratch.path.exists()
    held = Scratch()
    path = held.path
    del held
    assert not path.exists()


def test_without_any_place_for_temporary_files_there_is_one_error() -> None:
    with pytest.raises(subprocess.CalledProcessError) as raised:
        subprocess.run(
            [sys.executable, "-c", NOWHERE], check=True, stderr=subprocess.PIPE, text=True
        )
    assert "StorageError" in raised.value.stderr
    assert "Set TMPDIR to a folder that you may write." in raised.value.stderr
