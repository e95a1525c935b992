"""Labels that are arrays, in the samples' order."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from snapq.errors import DataError
from snapq.evaluation.array_file import readable
from snapq.evaluation.samples import Array, Label


def array_labels(values: Array, count: int, path: Path, *, classes: bool = False) -> list[Label]:
    """Labels out of an array: class numbers of [count], or arrays of [count, ...].

    Args:
        values: the array.
        count: number of samples.
        path: of the file, for errors.
        classes: whether labels may be what a classical model calls its classes: texts, and whole
            numbers below 0.

    Raises:
        DataError: their number is another one, or they are not numbers.
    """
    if classes and values.dtype.kind in "iuU" and values.shape == (count,):
        return [value.item() for value in values]
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
