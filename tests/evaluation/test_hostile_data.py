"""Data that promise more than they hold, or would fill the memory, are refused by their headers."""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from snapq.config import DataSource
from snapq.errors import DataError
from snapq.evaluation.datasets import open_dataset
from snapq.graph.shapes import TensorSpec
from tests.evaluation.test_images import SavePicture, picture_input, refusal, samples

VECTOR = (TensorSpec("input", np.dtype("float32"), (1, 4)),)


def npy_header(shape: str, descr: str = "'<f4'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


@pytest.mark.parametrize(
    "header",
    [
        npy_header(f"({10**20}, 4)"),
        npy_header("(1000000000000, 4)"),
        npy_header("(9, 4)"),
        npy_header(f"({10**20}, 4)", "'|V0'"),
        npy_header("(-1, 4)"),
        npy_header("(" + "9" * 5000 + ", 4)"),
        npy_header("((((((" * 500),
    ],
)
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_a_header_that_promises_what_is_not_there_is_refused(
    header: bytes, suffix: str, tmp_path: Path
) -> None:
    data = header + bytes(64)
    path = tmp_path / f"x.{suffix}"
    if suffix == "npy":
        path.write_bytes(data)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("input.npy", data)
    with pytest.raises(DataError):
        open_dataset(DataSource(arrays=path), VECTOR, base=tmp_path)


def png_header(width: int, height: int) -> bytes:
    """The first chunk of a PNG, which promises a picture of this size."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    checked = struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return b"\x89PNG\r\n\x1a\n" + checked + struct.pack(">I", 0) + b"IDAT"


@pytest.mark.parametrize("size", [(13_000, 13_000), (60_000, 60_000)])
@pytest.mark.filterwarnings("error")
def test_a_picture_that_would_fill_the_memory_is_refused(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    (tmp_path / "a.png").write_bytes(png_header(*size))
    error = refusal(tmp_path, picture_input(1, 3, 8, 8), images="a.png")
    assert "more than 89 million pixels" in error.what


def test_a_resize_that_would_fill_the_memory_is_blamed(
    tmp_path: Path, save_picture: SavePicture
) -> None:
    path = save_picture("a.png")
    error = refusal(
        tmp_path,
        picture_input(1, 3, 8, 8),
        images=path,
        preprocess={"resize": 90_000, "crop": 8},
    )
    assert error.what.startswith("`resize` makes 90000 x 90000 pixels")


def test_a_label_of_thousands_of_digits_is_told_in_short(
    tmp_path: Path, save_picture: SavePicture
) -> None:
    save_picture("pictures/a.png")
    (tmp_path / "labels.csv").write_text(f"file,label\na.png,{'7' * 5000}\n")
    error = refusal(
        tmp_path, picture_input(1, 3, 8, 8), images="pictures", labels="labels.csv", labelled=True
    )
    assert "is not a class number" in error.what
    assert len(str(error)) < 500


def test_pipes_and_circles_of_links_are_no_pictures(
    tmp_path: Path, save_picture: SavePicture
) -> None:
    path = save_picture("pictures/a.png")
    os.mkfifo(path.parent / "b.png")
    (path.parent / "c.png").symlink_to("d.png")
    (path.parent / "d.png").symlink_to("c.png")
    assert len(samples(tmp_path, picture_input(1, 3, 8, 8), images="pictures")) == 1
