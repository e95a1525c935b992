"""Metrics of models that give a class to each pixel."""

from __future__ import annotations

import numpy as np

from snapq.errors import DataError
from snapq.evaluation.samples import Array, Label
from snapq.evaluation.scores.base import Outputs, only

_IGNORED_CLASS = 255


class MeanIoU:
    """Mean over classes of intersection over union, counted over all pixels of all samples.

    The output is scores [1, classes, h, w] or [1, h, w, classes], or class numbers of integer type.
    A prediction smaller than the mask by whole factors is enlarged by repeating pixels. Mask pixels
    of 255 are left out; classes that neither masks nor predictions have do not count.
    """

    name = "miou"

    def __init__(self) -> None:
        self.samples = 0
        self._confusion = np.zeros((0, 0), np.int64)

    def update(self, outputs: Outputs, label: Label | None, name: str | None = None) -> None:
        """Adds one sample with its mask [height, width]."""
        scores = only(outputs, lambda array: array.ndim >= 2, self.name, "class scores a pixel")
        mask = np.squeeze(np.asarray(label))
        if label is None or mask.ndim != 2 or mask.dtype.kind not in "biu":
            raise DataError(
                "The label is not a mask of class numbers [height, width].",
                where=name,
                hint="Give `labels: FOLDER` with one mask a picture.",
            )
        predicted, classes = _classes_of_pixels(scores, mask.shape, name)
        counted = mask.astype(np.int64) != _IGNORED_CLASS
        truth, found = mask.astype(np.int64)[counted], predicted[counted]
        if classes is not None and truth.size and not 0 <= truth.min() <= truth.max() < classes:
            raise DataError(
                f"The mask has class numbers of {truth.min()} to {truth.max()}, and the model has "
                f"{classes} classes.",
                where=name,
                hint="Number classes from 0; 255 marks pixels to leave out.",
            )
        self._grow(1 + int(max(truth.max(initial=0), found.max(initial=0))))
        size = len(self._confusion)
        pairs = np.bincount(truth * size + found, minlength=size * size)
        self._confusion += pairs.reshape(size, size)
        self.samples += 1

    def _grow(self, size: int) -> None:
        missing = size - len(self._confusion)
        if missing > 0:
            self._confusion = np.pad(self._confusion, ((0, missing), (0, missing)))

    def value(self) -> float:
        """The mean IoU. Raises `DataError` where no pixel was counted."""
        both = np.diag(self._confusion).astype(np.float64)
        either = self._confusion.sum(0) + self._confusion.sum(1) - both
        if not (either > 0).any():
            raise DataError("No pixel was counted.", where=self.name, hint="Check the masks.")
        return float((both[either > 0] / either[either > 0]).mean())


def _classes_of_pixels(
    scores: Array, size: tuple[int, ...], name: str | None
) -> tuple[Array, int | None]:
    """Class of each pixel at the mask's size, and the number of classes where it is known."""
    planes = scores.reshape(scores.shape[1:]) if scores.shape[0] == 1 else scores
    classes: int | None = None
    if planes.dtype.kind in "biu":
        planes = np.squeeze(planes)
    elif planes.ndim == 3:
        axis = 0 if _factors(planes.shape[1:], size) else 2
        classes = planes.shape[axis]
        planes = planes.argmax(axis)
    factors = _factors(planes.shape, size) if planes.ndim == 2 and classes != 1 else None
    if factors is None:
        raise DataError(
            f"The mask is {size[0]} x {size[1]} (height x width), and the output "
            f"{list(scores.shape)} has no class for each of its pixels.",
            where=name,
            hint="Give masks of the input's size, or write `metric: module:function`.",
        )
    return planes.astype(np.int64).repeat(factors[0], 0).repeat(factors[1], 1), classes


def _factors(shape: tuple[int, ...], size: tuple[int, ...]) -> tuple[int, int] | None:
    """How often pixels of `shape` [h, w] are repeated to give `size`; None where they do not."""
    if 0 in shape or size[0] % shape[0] or size[1] % shape[1]:
        return None
    return size[0] // shape[0], size[1] // shape[1]
