"""Metrics of classifiers."""

from __future__ import annotations

import numpy as np

from snapq.errors import DataError
from snapq.evaluation.samples import Label
from snapq.evaluation.scores.base import Mean, Outputs, class_number, is_class_scores, only


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
        scores = only(outputs, is_class_scores, self.name, "scores of classes, [1, classes]")
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
