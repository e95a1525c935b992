"""Metrics of classifiers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from snapq.errors import DataError
from snapq.evaluation.samples import Array, Label
from snapq.evaluation.scores.base import (
    Mean,
    Outputs,
    class_number,
    is_class_scores,
    of_classifier,
    only,
)

_SCORES = "scores of classes, [1, classes]"


class TopK(Mean):
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
        outputs = of_classifier(outputs, decided=self._k == 1)
        scores = only(outputs, is_class_scores, self.name, _SCORES)
        target = class_number(label, self.name, name)
        if scores.size == 1:
            self.add(float(int(scores.item()) == target))
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
        self.add(float(ahead < self._k and bool(np.isfinite(own))))


class Confusion:
    """Precision, recall or F1 over all samples.

    The output is [1, classes], or one class number of integer type: then the number is the mean
    over the classes that labels or predictions have (macro average), where a class without any
    prediction has precision 0, and one without any label recall 0. Or it is one probability: then
    it is that of class 1, which is predicted from 0.5 on.
    """

    def __init__(self, name: str, of_class: Callable[[Array, Array, Array], Array]) -> None:
        self.name = name
        self.samples = 0
        self._of_class = of_class
        self._counts = np.zeros((0, 0), np.int64)
        self._binary = False

    def update(self, outputs: Outputs, label: Label | None, name: str | None = None) -> None:
        """Adds one sample."""
        chosen = of_classifier(outputs, decided=True)
        scores = only(chosen, _is_scores, self.name, _SCORES).reshape(-1)
        target = class_number(label, self.name, name)
        self._binary = scores.size == 1 and scores.dtype.kind == "f"
        found = int(scores[0] >= 0.5) if self._binary else _predicted(scores)
        classes = 2 if self._binary else scores.size
        if target >= classes > 1:
            raise DataError(
                f"The model has {classes} classes, and the label is {target}.",
                where=name,
                hint="Correct the label; classes are counted from 0.",
            )
        missing = 1 + max(target, found) - len(self._counts)
        if missing > 0:
            self._counts = np.pad(self._counts, ((0, missing), (0, missing)))
        self._counts[target, found] += 1
        self.samples += 1

    def value(self) -> float:
        """The metric. Raises `DataError` where there are no samples."""
        if self.samples == 0:
            raise DataError("There are no samples.", where=self.name, hint="Give evaluation data.")
        right = np.diag(self._counts).astype(np.float64)
        predicted, labelled = self._counts.sum(0), self._counts.sum(1)
        values = self._of_class(right, predicted, labelled)
        if self._binary:
            return float(values[1]) if len(values) > 1 else 0.0
        return float(values[(predicted > 0) | (labelled > 0)].mean())


def precision(right: Array, predicted: Array, _: Array) -> Array:
    """Of what was predicted as a class, how much is of it."""
    return right / np.maximum(predicted, 1)


def recall(right: Array, _: Array, labelled: Array) -> Array:
    """Of what is of a class, how much was predicted as it."""
    return right / np.maximum(labelled, 1)


def f1(right: Array, predicted: Array, labelled: Array) -> Array:
    """The harmonic mean of both."""
    return np.asarray(2 * right / np.maximum(predicted + labelled, 1))


def _is_scores(output: Array) -> bool:
    return is_class_scores(output) or output.size == 1


def _predicted(scores: Array) -> int:
    if scores.size == 1:
        return int(scores[0])
    return int(np.where(np.isnan(scores), -np.inf, scores).argmax())
