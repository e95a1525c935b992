"""Labels of files: a CSV with the columns `file,label`, a `.npy` in the files' order, or masks."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import ImageOps

from snapq.config import Preprocess, Resample
from snapq.errors import DataError, SnapqError, StorageError
from snapq.evaluation.array_file import readable
from snapq.evaluation.pictures import open_picture
from snapq.evaluation.preprocess import geometry
from snapq.evaluation.samples import Array, Label

Labels = Callable[[Path], Label | None]
"""Gives the label of a file, which is named relative to its folder."""

_COLUMNS = ("file", "label")
_MASK_SUFFIXES = (".png", ".bmp", ".tif", ".tiff", ".gif", ".npy")
_MAX_DIGITS = 18
_SHOWN = 40
_MASK_MODES = ("1", "L", "P", "I;16", "I;16B", "I;16L", "I")


def no_labels(_: Path) -> None:
    """The labels of files that have none."""


def read_labels(
    path: Path, files: Sequence[Path], *, folder: Path, preprocess: Preprocess | None = None
) -> Labels:
    """Reads the labels of these files.

    Args:
        path: a CSV, a `.npy` with one label a file in the files' order, or a folder of masks.
        files: all files of the data set, relative to `folder`.
        folder: where the files are.
        preprocess: geometry that masks share with their pictures.

    Raises:
        DataError: labels and files do not match, or a label cannot be read.
    """
    if path.is_dir():
        return _mask_labels(path, files, preprocess or Preprocess())
    if not path.exists():
        hint = "Paths in the YAML file are relative to the YAML file's folder."
        raise DataError("There is no such file or folder of labels.", where=str(path), hint=hint)
    if path.suffix.lower() == ".npy":
        values = array_labels(load_npy(path), len(files), path)
        table = dict(zip(files, values, strict=True))
        return table.__getitem__
    return read_csv(path, files, folder=folder).__getitem__


def read_csv(path: Path, files: Sequence[Path], *, folder: Path) -> dict[Path, int]:
    """Class numbers out of a CSV with a header and the columns `file` and `label`.

    Raises:
        DataError: the file is not such a CSV; a row is wrong, double, or of no file; a file has no
            row. The message has the line.
    """
    table: dict[Path, int] = {}
    known = set(files)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            if not set(_COLUMNS) <= set(found := reader.fieldnames or ()):
                raise DataError(
                    f"Its first line is `{','.join(found)}` and has to name the columns "
                    "`file,label`.",
                    where=f"{path}:1",
                    hint="Write `file,label` as the first line.",
                )
            for row in reader:
                where = f"{path}:{reader.line_num}"
                file, label = _row(row, where)
                if file in table:
                    raise DataError(
                        f"{file} has a second row.", where=where, hint="Remove one of the rows."
                    )
                if file not in known:
                    hint = "Remove the row, or name the file relative to that folder."
                    raise DataError(f"There is no {file} in {folder}.", where=where, hint=hint)
                table[file] = label
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(
            f"It is not a CSV in UTF-8: {error}.",
            where=str(path),
            hint="The first line is `file,label`, then one line a file: `cat.jpg,281`.",
        ) from error
    except OSError as error:
        raise StorageError(
            f"{error.strerror}.", where=str(path), hint="Check its permissions."
        ) from error
    missing = [file for file in files if file not in table]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(files)} files have no row, the first is {missing[0]}.",
            where=str(path),
            hint="Add a row for each file of the data set.",
        )
    return table


def array_labels(values: Array, count: int, path: Path) -> list[Label]:
    """Labels out of an array: class numbers of [count], or arrays of [count, ...].

    Raises:
        DataError: their number is another one, or they are not numbers.
    """
    if values.dtype.kind not in "biuf" or values.ndim == 0 or len(values) != count:
        raise DataError(
            f"It holds labels of shape {list(values.shape)} and type {values.dtype}, and there are "
            f"{count} samples.",
            where=str(path),
            hint=f"Store one label a sample: an array of numbers with {count} in front.",
        )
    if values.ndim == 1 and values.dtype.kind in "iu":
        if values.size and values.min() < 0:
            index = int(np.argmax(values < 0))
            raise DataError(
                f"Label {index} is {values[index]}; classes are counted from 0.",
                where=str(path),
                hint="Correct the label.",
            )
        return [int(value) for value in values]
    return list(values)


def load_npy(path: Path) -> Array:
    """Maps a `.npy` file into memory, so that only what is read is loaded.

    Raises:
        DataError: the file is damaged, or holds Python objects.
    """
    with readable(path):
        array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def _row(row: dict[str | Any, str | Any], where: str) -> tuple[Path, int]:
    file, label = row["file"], row["label"]
    if not file or label is None or None in row:
        raise DataError(
            "The row has not as many columns as the first line.",
            where=where,
            hint="Write a file and its label: `cat.jpg,281`.",
        )
    text = label.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        hint = "Write an integer, counted from 0."
        shown = label if len(label) <= _SHOWN else f"{label[:_SHOWN]}…"
        raise DataError(f"The label '{shown}' is not a class number.", where=where, hint=hint)
    # Tables made on Windows separate folders by backslashes.
    return Path(PurePosixPath(file.strip().replace("\\", "/"))), int(text)


def _mask_labels(folder: Path, files: Sequence[Path], preprocess: Preprocess) -> Labels:
    masks: dict[Path, Path] = {}
    for file in files:
        choices = [file.with_suffix(suffix) for suffix in _MASK_SUFFIXES]
        found = [choice for choice in choices if (folder / choice).is_file()]
        if len(found) != 1:
            raise DataError(
                f"{file} has {'no mask' if not found else f'{len(found)} masks'} in it.",
                where=str(folder),
                hint=f"Put one mask for it there, such as {file.with_suffix('.png')}.",
            )
        masks[file] = folder / found[0]
    return lambda file: _mask(masks[file], preprocess)


def _mask(path: Path, preprocess: Preprocess) -> Array:
    """Class of each pixel, [height, width], with the geometry of its picture."""
    if path.suffix == ".npy":
        return np.array(load_npy(path))
    try:
        with open_picture(path) as opened:
            picture = ImageOps.exif_transpose(opened)
    except SnapqError:
        raise
    except Exception as error:  # Pillow's decoders raise errors of many kinds for damaged files
        raise DataError(
            f"The mask cannot be read: {str(error).rstrip('.')}.",
            where=str(path),
            hint="Replace it.",
        ) from error
    if picture.mode not in _MASK_MODES:
        raise DataError(
            f"The mask is of Pillow's mode {picture.mode}, and a mask has one class number a "
            "pixel.",
            where=str(path),
            hint="Save it as a grey or palette PNG whose pixel values are class numbers.",
        )
    return np.array(geometry(picture, preprocess, Resample.NEAREST), dtype=np.int64)
