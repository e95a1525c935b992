"""Metrics of the order in which a model's scores put samples."""

from __future__ import annotations

import numpy as np

from snapq.errors import DataError
from snapq.evaluation.samples import Array, Label
from snapq.evaluation.scores.base import (
    Outputs,
    class_number,
    is_class_scores,
    of_classifier,
    only,
)

_WHAT = "one score, or scores of classes, [1, classes]"


class _Scored:
    """Keeps the scores and the class of each sample."""

    name: str

    def __init__(self) -> None:
        self._scores: list[Array] = []
        self._classes: list[int] = []

    @property
    def samples(self) -> int:
        """Number of samples seen."""
        return len(self._classes)

    def update(self, outputs: Outputs, label: Label | None, name: str | None = None) -> None:
        """Adds one sample with its class number."""
        chosen = of_classifier(outputs, decided=False)
        scores = only(chosen, lambda y: is_class_scores(y) or y.size == 1, self.name, _WHAT)
        target = class_number(label, self.name, name)
        if target >= max(2, scores.size):
            raise DataError(
                f"The label is {target}, and the model has {max(2, scores.size)} classes.",
                where=name,
                hint="Correct the label; classes are counted from 0.",
            )
        self._scores.append(scores.reshape(-1).astype(np.float64))
        self._classes.append(target)

    def _columns(self) -> list[tuple[Array, Array]]:
        """For each class that can be told from the others: scores, and which samples are of it."""
        classes = np.array(self._classes)
        scores = np.stack(self._scores) if self._scores else np.zeros((0, 1))
        if scores.shape[1] <= 2:
            # Of two scores, the difference orders samples as a softmax of them does.
            positive = scores[:, -1] - (scores[:, 0] if scores.shape[1] == 2 else 0.0)
            pairs = [(positive, classes == 1)]
        else:
            pairs = [(scores[:, index], classes == index) for index in range(scores.shape[1])]
        found = [(values, mine) for values, mine in pairs if mine.any() and not mine.all()]
        if not found:
            raise DataError(
                f"{self.name} compares two classes, and the samples are all of one."
                if self._classes
                else "There are no samples.",
                where=self.name,
                hint="Give samples of both classes.",
            )
        return found


class Auc(_Scored):
    """Area under the ROC curve; ties count half.

    Of one score or two, that of class 1. Of more, the mean over the classes, each against all
    others (macro average, one against the rest).
    """

    name = "auc"

    def value(self) -> float:
        """The area, 0.5 for chance. Raises `DataError` where all samples are of one class."""
        return float(np.mean([_area(scores, mine) for scores, mine in self._columns()]))


class EqualErrorRate(_Scored):
    """The rate at which as many samples of class 0 are taken as of class 1 are refused.

    Between two thresholds of the samples the ROC curve is a straight line.
    """

    name = "eer"

    def value(self) -> float:
        """The rate. Raises `DataError` where all samples are of one class."""
        return float(np.mean([_equal_error(scores, mine) for scores, mine in self._columns()]))


def _area(scores: Array, mine: Array) -> float:
    """By the rank sum (Mann and Whitney 1947)."""
    ranks = mean_ranks(scores)
    positives, negatives = int(mine.sum()), int((~mine).sum())
    above = float(ranks[mine].sum()) - positives * (positives + 1) / 2
    return above / (positives * negatives)


def _equal_error(scores: Array, mine: Array) -> float:
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.diff(scores[order]) != 0, True)
    refused = np.append(1.0, 1 - np.cumsum(mine[order])[ends] / mine.sum())
    taken = np.append(0.0, np.cumsum(~mine[order])[ends] / (~mine).sum())
    after = int(np.argmax(taken >= refused))
    before = after - 1
    gap = refused[before] - taken[before]
    closing = gap - (refused[after] - taken[after])
    share = gap / closing
    return float(taken[before] + share * (taken[after] - taken[before]))


def mean_ranks(values: Array) -> Array:
    """Ranks from 1; equal values share the mean of theirs."""
    _, index, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[index], np.float64)
