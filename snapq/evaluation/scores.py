"""What a metric is, and those that snapq has."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from snapq.errors import DataError
from snapq.evaluation.functions import user_code
from snapq.evaluation.samples import Array, Label

Outputs = Mapping[str, Array]
"""The outputs of a model for one sample by name, each of its own shape."""
MAX_PSNR_DB = 200.0
_IGNORED_CLASS = 255


class Metric(Protocol):
    """Takes outputs and label of one sample after another, and gives one number."""

    @property
    def name(self) -> str:
        """As in deploy.yaml: `top1`."""
        ...

    @property
    def samples(self) -> int:
        """Number of samples seen."""
        ...

    def update(self, outputs: Outputs, label: Any, name: str | None = None) -> None:
        """Adds one sample; `name` is for messages.

        Raises:
            DataError: the label does not fit the outputs.
        """
        ...

    def value(self) -> float:
        """The metric over all samples seen. Raises `DataError` where there are none."""
        ...


class _Mean:
    """A mean over samples."""

    name: str

    def __init__(self) -> None:
        self.samples = 0
        self._sum = 0.0

    def _add(self, value: float) -> None:
        self._sum += value
        self.samples += 1

    def value(self) -> float:
        """The mean. Raises `DataError` where there are no samples."""
        if self.samples == 0:
            raise DataError("There are no samples.", where=self.name, hint="Give evaluation data.")
        return self._sum / self.samples


class TopK(_Mean):
    """Share of samples whose class is among the k highest scores.

    The output is [1, classes] (with further dimensions of 1 allowed), or, for top-1, a single class
    number of integer type.
    """

    def __init__(self, k: int) -> None:
        super().__init__()
        self._k = k
        self.name = f"top{k}"

    def update(self, outputs: Outputs, label: Label | None, name: str | None = None) -> None:
        """Adds one sample; a score that is not a number is never right."""
        scores = _only(outputs, _is_class_scores, self.name, "scores of classes, [1, classes]")
        target = _class_number(label, self.name, name)
        if scores.size == 1:
            self._add(float(int(scores.item()) == target))
            return
        scores = scores.reshape(-1)
        if target >= scores.size or self._k >= scores.size:
            raise DataError(
                f"The model has {scores.size} classes, "
                + (f"and the label is {target}." if target >= scores.size else "too few for top5."),
                where=name,
                hint="Correct the label; classes are counted from 0."
                if target >= scores.size
                else "Use `metric: top1`.",
            )
        own = scores[target]
        ahead = int((scores > own).sum() + (scores[:target] == own).sum())
        self._add(float(ahead < self._k and bool(np.isfinite(own))))


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
        scores = _only(outputs, lambda array: array.ndim >= 2, self.name, "class scores a pixel")
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


class Psnr(_Mean):
    """Mean over samples of 10 log10(peak^2 / mean squared error), in dB, at most 200.

    The label is an array of the output's shape and in its unit. The peak is the largest value of
    the label's type for unsigned integers, and 1 for real numbers.
    """

    name = "psnr"

    def update(self, outputs: Outputs, label: Label | None, name: str | None = None) -> None:
        """Adds one sample with its target."""
        output = _only(outputs, lambda array: array.ndim >= 1, self.name, "an array")
        if not isinstance(label, np.ndarray) or label.size != output.size:
            found = "none" if label is None else f"of shape {list(np.shape(label))}"
            raise DataError(
                f"The label is {found}, and the output is of shape {list(output.shape)}.",
                where=name,
                hint="Give the wanted output as label: `arrays:` with `labels: FILE.npy`.",
            )
        target = label.reshape(output.shape).astype(np.float64)
        peak = float(np.iinfo(label.dtype).max) if label.dtype.kind == "u" else 1.0
        if label.dtype.kind != "u" and (target.min() < 0.0 or target.max() > 1.0):
            raise DataError(
                f"The label has values of {target.min():g} to {target.max():g}, so the peak of "
                "PSNR is not known.",
                where=name,
                hint="Scale labels and outputs to 0..1, or write `metric: module:function`.",
            )
        error = float(np.mean((output.astype(np.float64) - target) ** 2))
        if not math.isfinite(error):
            raise DataError("The output is not finite.", where=name, hint="Check the model.")
        tiny = peak**2 * 10 ** (-MAX_PSNR_DB / 10)
        self._add(10 * math.log10(peak**2 / max(error, tiny)))


MAKERS: Mapping[str, Callable[[], Metric]] = {
    "top1": lambda: TopK(1),
    "top5": lambda: TopK(5),
    "miou": MeanIoU,
    "psnr": Psnr,
}
"""By name; `snapq.metric_table` says how each is shown."""


class UserMetric(_Mean):
    """Mean over samples of a function of the user's, called as `function(outputs, label)`."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        super().__init__()
        self.name = name
        self._function = function

    def update(self, outputs: Outputs, label: Label | None, name: str | None = None) -> None:
        """Adds one sample."""
        with user_code(self.name):
            result = self._function(dict(outputs), label)
        number = np.asarray(result)
        if number.size != 1 or number.dtype.kind not in "biuf" or not np.isfinite(number).all():
            raise DataError(
                f"The metric returned {result!r}"[:200] + (f" for {name}." if name else "."),
                where=self.name,
                hint="Return one finite number.",
            )
        self._add(float(number.item()))


def _only(outputs: Outputs, fits: Callable[[Array], bool], metric_name: str, what: str) -> Array:
    """The one output that fits a metric."""
    fitting = [name for name, output in outputs.items() if fits(output)]
    if len(fitting) != 1:
        listed = ", ".join(f"'{name}' {list(output.shape)}" for name, output in outputs.items())
        raise DataError(
            f"{metric_name} needs one output that is {what}; the model has {listed}.",
            where="metric",
            hint="Write `metric: module:function` and choose the output there.",
        )
    return outputs[fitting[0]]


def _is_class_scores(output: Array) -> bool:
    """[1, classes] with further dimensions of 1, or one class number."""
    return max(output.shape, default=1) == output.size and (
        output.size > 1 or output.dtype.kind in "iu"
    )


def _class_number(label: Label | None, metric_name: str, name: str | None) -> int:
    if isinstance(label, np.ndarray) and label.size == 1 and label.dtype.kind in "iu":
        label = int(label.item())
    if not isinstance(label, int) or label < 0:
        found = "missing" if label is None else f"of type {type(label).__name__}"
        raise DataError(
            f"{metric_name} needs a class number, and the label is {found}.",
            where=name,
            hint="Give `labels: FILE.csv` with the columns `file,label`.",
        )
    return label


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
