"""Metrics of models that give numbers."""

from __future__ import annotations

import math

import numpy as np

from snapq.errors import DataError
from snapq.evaluation.samples import Array, Label
from snapq.evaluation.scores.base import Mean, Outputs, only
from snapq.evaluation.scores.ranking import mean_ranks


class MeanAbsoluteError(Mean):
    """Mean of |output - label|, over an output's numbers and then over samples."""

    name = "mae"

    def update(self, outputs: Outputs, label: Label | None, name: str | None = None) -> None:
        """Adds one sample."""
        found, wanted = _pair(outputs, label, self.name, name)
        self.add(float(np.abs(found - wanted).mean()))


class RootMeanSquareError(Mean):
    """Square root of the mean of (output - label)^2 over all numbers of all samples."""

    name = "rmse"

    def update(self, outputs: Outputs, label: Label | None, name: str | None = None) -> None:
        """Adds one sample."""
        found, wanted = _pair(outputs, label, self.name, name)
        self.add(float(((found - wanted) ** 2).mean()))

    def value(self) -> float:
        """The root. Raises `DataError` where there are no samples."""
        return math.sqrt(super().value())


class Determination:
    """R^2: 1 - sum of squared errors / sum of squares about the mean, mean over the targets.

    A target that never changes counts 1 where it is met exactly, else 0.
    """

    name = "r2"

    def __init__(self) -> None:
        self.samples = 0
        self._mean = np.zeros(0)
        self._spread = np.zeros(0)
        self._error = np.zeros(0)

    def update(self, outputs: Outputs, label: Label | None, name: str | None = None) -> None:
        """Adds one sample; sums are kept about a running mean (Welford 1962)."""
        found, wanted = _pair(outputs, label, self.name, name)
        if self.samples == 0:
            self._mean, self._spread, self._error = (np.zeros(wanted.size) for _ in range(3))
        self.samples += 1
        away = wanted - self._mean
        self._mean = self._mean + away / self.samples
        self._spread = self._spread + away * (wanted - self._mean)
        self._error = self._error + (found - wanted) ** 2

    def value(self) -> float:
        """The share of the spread that is explained. Raises `DataError` below two samples."""
        if self.samples < 2:
            raise DataError(
                f"r2 needs two samples, and there are {self.samples}.",
                where=self.name,
                hint="Give more evaluation data.",
            )
        constant = self._spread <= 0
        explained = 1 - self._error / np.where(constant, 1.0, self._spread)
        return float(np.where(constant, self._error == 0, explained).mean())


class Spearman:
    """Rank correlation of Spearman between a score and the label.

    The score is the one number that the model gives, or the cosine of two embeddings: one output
    [2, d] or two of one shape.
    """

    name = "spearman"

    def __init__(self) -> None:
        self._scores: list[float] = []
        self._labels: list[float] = []

    @property
    def samples(self) -> int:
        """Number of samples seen."""
        return len(self._labels)

    def update(self, outputs: Outputs, label: Label | None, name: str | None = None) -> None:
        """Adds one sample with the number that is wanted."""
        target = np.asarray(label)
        if label is None or target.size != 1 or target.dtype.kind not in "biuf":
            raise DataError(
                f"spearman needs a number, and the label is {_kind(label)}.",
                where=name,
                hint="Give one number a sample.",
            )
        self._scores.append(self._score(outputs))
        self._labels.append(float(target.item()))

    def _score(self, outputs: Outputs) -> float:
        arrays = list(outputs.values())
        if len(arrays) == 2 and arrays[0].size == arrays[1].size > 1:
            return _cosine(arrays[0].reshape(-1), arrays[1].reshape(-1))
        what = "one number, or two embeddings [2, d]"
        found = only(outputs, lambda y: y.size == 1 or _is_pair(y), self.name, what)
        if found.size == 1:
            return float(found.item())
        first, second = found.reshape(2, -1)
        return _cosine(first, second)

    def value(self) -> float:
        """The correlation, -1 to 1. Raises `DataError` where either side never changes."""
        sides = [mean_ranks(np.array(side)) for side in (self._scores, self._labels)]
        spreads = [float(side.std()) if side.size else 0.0 for side in sides]
        if 0.0 in spreads:
            raise DataError(
                "spearman orders samples, and the "
                + ("scores" if spreads[0] == 0.0 else "labels")
                + " are all the same.",
                where=self.name,
                hint="Give at least two samples that differ.",
            )
        return float(np.corrcoef(np.stack(sides))[0, 1])


def _pair(
    outputs: Outputs, label: Label | None, metric: str, name: str | None
) -> tuple[Array, Array]:
    """Output and label as flat float64 of the same length."""
    wanted = np.asarray(label)
    size = wanted.size
    found = outputs
    if len(outputs) > 1 and sum(array.size == size for array in outputs.values()) == 1:
        found = {key: array for key, array in outputs.items() if array.size == size}
    output = only(found, lambda array: array.size > 0, metric, "as long as the label")
    if label is None or wanted.dtype.kind not in "biuf" or wanted.size != output.size:
        raise DataError(
            f"{metric} compares numbers; the label is {_kind(label)}, and the output has "
            f"{output.size} numbers.",
            where=name,
            hint="Give the wanted output as label: `arrays:` with `labels: FILE.npy`.",
        )
    return output.reshape(-1).astype(np.float64), wanted.reshape(-1).astype(np.float64)


def _is_pair(output: Array) -> bool:
    squeezed = np.squeeze(output)
    return squeezed.ndim == 2 and squeezed.shape[0] == 2


def _cosine(first: Array, second: Array) -> float:
    lengths = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first.astype(np.float64) @ second.astype(np.float64)) / lengths if lengths else 0.0


def _kind(label: Label | None) -> str:
    if label is None:
        return "missing"
    return f"of shape {list(np.asarray(label).shape)}"
