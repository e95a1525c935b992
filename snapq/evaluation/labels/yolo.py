"""Boxes as YOLO has them: a `.txt` a picture, a line an object, `class cx cy width height`.

Numbers are shares of the picture's size. A line with more points is a polygon, and counts with the
box around it. A picture without a file has no objects.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from snapq.config import Preprocess
from snapq.errors import DataError
from snapq.evaluation.labels.boxes import in_the_input, picture_size
from snapq.evaluation.samples import Array, Label
from snapq.storage import storage_errors

_SLACK = 1e-3
"""By which rounded shares may leave the picture."""
_HINT = "Write `class cx cy width height`, the last four as shares of the picture's size."


def has_yolo_files(folder: Path, files: Sequence[Path]) -> bool:
    """Whether a folder of labels has a `.txt` for any of the files."""
    return any((folder / file.with_suffix(".txt")).is_file() for file in files)


def read_yolo(
    labels: Path, files: Sequence[Path], folder: Path, preprocess: Preprocess
) -> Callable[[Path], Label]:
    """Boxes [N, 6] of each picture in pixels of the model's input.

    Every file is read at once, so that a wrong line is told before any work, and again in its turn.

    Raises:
        DataError: a line is not an object.
    """
    for file in files:
        _shares(labels / file.with_suffix(".txt"))

    def label(file: Path) -> Label:
        size = picture_size(folder / file)
        boxes = _shares(labels / file.with_suffix(".txt"))
        boxes[:, :4] *= [*size, *size]
        return in_the_input(boxes, size, preprocess)

    return label


def _shares(path: Path) -> Array:
    """The objects of one file, [N, 6]: x1, y1, x2, y2 as shares, class and no crowd."""
    if not path.is_file():
        return np.zeros((0, 6))
    try:
        with storage_errors(path):
            lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError("It is not text in UTF-8.", where=str(path), hint=_HINT) from error
    rows = [
        _object(line, f"{path}:{number}")
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]
    return np.array(rows, np.float64).reshape(-1, 6)


def _object(line: str, where: str) -> tuple[float, ...]:
    """x1, y1, x2, y2 as shares, class and no crowd."""
    words = line.split()
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        shown = line if len(line) <= 60 else f"{line[:60]}…"
        raise DataError(f"The line is `{shown}`.", where=where, hint=_HINT) from None
    points = len(numbers) - 1
    if points != 4 and (points < 6 or points % 2):
        what = f"The line has {len(numbers)} numbers, and an object has 5."
        raise DataError(what, where=where, hint=_HINT)
    kind, shares = numbers[0], np.array(numbers[1:])
    if not (math.isfinite(kind) and kind >= 0 and kind == int(kind) and kind < 2**31):
        raise DataError(f"The class is {words[0]}.", where=where, hint="Classes count from 0.")
    if not (
        np.isfinite(shares).all() and (shares >= -_SLACK).all() and (shares <= 1 + _SLACK).all()
    ):
        raise DataError("A number is not a share of 0 to 1.", where=where, hint=_HINT)
    if points == 4:
        centre, half = shares[:2], shares[2:] / 2
        return (*(centre - half).tolist(), *(centre + half).tolist(), kind, 0.0)
    corners = shares.reshape(-1, 2)
    return (*corners.min(0).tolist(), *corners.max(0).tolist(), kind, 0.0)
