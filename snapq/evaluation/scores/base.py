"""What a metric is, and what those of `snapq.evaluation.scores` share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from snapq.errors import DataError
from snapq.evaluation.samples import Array, Label

Outputs = Mapping[str, Array]
"""The outputs of a model for one sample by name, each of its own shape."""


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


class Mean:
    """A mean over samples."""

    name: str

    def __init__(self) -> None:
        self.samples = 0
        self._sum = 0.0

    def add(self, value: float) -> None:
        """Adds the value of one sample."""
        self._sum += value
        self.samples += 1

    def value(self) -> float:
        """The mean. Raises `DataError` where there are no samples."""
        if self.samples == 0:
            raise DataError("There are no samples.", where=self.name, hint="Give evaluation data.")
        return self._sum / self.samples


def only(outputs: Outputs, fits: Callable[[Array], bool], metric_name: str, what: str) -> Array:
    """The one output that fits a metric."""
    fitting = [name for name, output in outputs.items() if fits(output)]
    if len(fitting) != 1:
        listed = ", ".join(f"'{name}' {list(output.shape)}" for name, output in outputs.items())
        raise DataError(
            f"{metric_name} needs one output that is {what}; the model has {listed}.",
            where="metric",
            hint=_which(outputs, metric_name),
        )
    return outputs[fitting[0]]


def _which(outputs: Outputs, metric_name: str) -> str:
    """Says how a metric is given one of the outputs."""
    own = "`metric: module:function`, which chooses what it needs."
    if len(outputs) == 1:
        return f"Name another metric, or one of your own: {own}"
    return f"Name the output: `metric: {{{next(iter(outputs))}: {metric_name}}}`, or write {own}"


def of_classifier(outputs: Outputs, *, decided: bool) -> Outputs:
    """Of a classifier that gives its class as a number beside the scores, the one or the other.

    Other outputs are given as they are.
    """
    numbers = [name for name, y in outputs.items() if y.size == 1 and y.dtype.kind in "iu"]
    scores = [name for name, y in outputs.items() if y.dtype.kind == "f" and is_class_scores(y)]
    if len(outputs) != 2 or len(numbers) != 1 or len(scores) != 1:
        return outputs
    chosen = (numbers if decided else scores)[0]
    return {chosen: outputs[chosen]}


def is_class_scores(output: Array) -> bool:
    """[1, classes] with further dimensions of 1, or one class number."""
    return max(output.shape, default=1) == output.size and (
        output.size > 1 or output.dtype.kind in "iu"
    )


def class_number(label: Label | None, metric_name: str, name: str | None) -> int:
    """A label as a class number. Raises `DataError` where it is none."""
    if isinstance(label, np.ndarray) and label.size == 1 and label.dtype.kind in "iu":
        label = int(label.item())
    if not isinstance(label, int) or label < 0:
        raise DataError(
            f"{metric_name} needs a class number, and the label is {_told(label)}.",
            where=name,
            hint="Give `labels:` a CSV with the columns `file,label`, or beside arrays a .npy of "
            "whole numbers [samples].",
        )
    return label


def _told(label: Label | None) -> str:
    if label is None:
        return "missing"
    if isinstance(label, np.ndarray):
        return f"an array {list(label.shape)} of {label.dtype}"
    return f"of type {type(label).__name__}"
