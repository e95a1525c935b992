"""Whether a classical model gives the same answers as ONNX Runtime does for the model as given.

The golden check asks it of a board, too: how near is near follows from what the simulated package
gave for the same rows when the bundle was made.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["SAME", "TIE", "Answers", "Limit", "OutputAnswers", "limit_of"]

TIE = 1e-6
"""Scores that differ by no more than this are a tie: in float32, the order of a sum decides it."""
SAME = 1e-5
"""Of the range of an output: so far the rounding of float32 sums may carry exact models apart."""
_NEAR = 2.0
"""Times the simulator's difference: what other kernels may round otherwise."""
_ROWS = 0.01
"""Of the rows of a model that is not exact: labels that rounding decides."""

Array = NDArray[Any]
Outputs = Mapping[str, Array]


@dataclass
class OutputAnswers:
    """Of one output.

    Attributes:
        labels: whether it holds labels, and no values.
        rows: how many were compared.
        equal: rows with the same label, or with values that differ by nothing.
        ties: rows with another label, where the model as given has no label before the other.
        largest: largest difference of a value.
        lowest: least value that the model as given gave; `highest` the greatest.
        total: sum over the rows of the largest difference in each.
        signal: sum of the squares of the finite values that the model as given gave.
        noise: sum of the squares of their differences.
    """

    labels: bool
    rows: int = 0
    equal: int = 0
    ties: int = 0
    largest: float = 0.0
    lowest: float = np.inf
    highest: float = -np.inf
    total: float = 0.0
    signal: float = 0.0
    noise: float = 0.0

    @property
    def sqnr_db(self) -> float | None:
        """SQNR of the values in dB; None of labels, and where nothing differs or all is 0."""
        if not 0 < self.noise < np.inf or not 0 < self.signal < np.inf:
            return None
        return float(10 * np.log10(self.signal / self.noise))

    @property
    def range(self) -> float:
        """Greatest minus least value of the model as given."""
        return self.highest - self.lowest if self.rows and not self.labels else 0.0


@dataclass
class Answers:
    """Counts rows with equal answers, batch by batch."""

    outputs: dict[str, OutputAnswers] = field(default_factory=dict)

    def update(self, given: Outputs, found: Outputs, rows: int) -> None:
        """Adds the first `rows` rows of a batch.

        Args:
            given: outputs of the model as given, `[N]` or `[N, …]`.
            found: outputs of what was made of it.
            rows: how many rows count.
        """
        scores = [value[:rows] for value in given.values() if value.dtype.kind == "f"]
        for name, value in given.items():
            one = self.outputs.setdefault(name, OutputAnswers(value.dtype.kind != "f"))
            own, other = value[:rows], np.asarray(found[name])[:rows].reshape(value[:rows].shape)
            one.rows += rows
            if one.labels:
                same = (own == other).reshape(rows, -1).all(axis=1)
                one.equal += int(same.sum())
                one.ties += int((~same & _tied(scores, rows)).sum())
                continue
            differences = _gaps(own, other)
            finite = np.isfinite(own)
            one.signal += float((own[finite].astype(np.float64) ** 2).sum())
            one.noise += float((differences[finite] ** 2).sum())
            gaps = differences.reshape(rows, -1).max(axis=1, initial=0.0)
            one.equal += int((gaps == 0).sum())
            one.largest = max(one.largest, float(gaps.max(initial=0.0)))
            one.total += float(gaps.sum())
            real = own[finite]
            one.lowest = min(one.lowest, float(real.min(initial=np.inf)))
            one.highest = max(one.highest, float(real.max(initial=-np.inf)))

    def plain(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """By output what JSON can hold; a difference without bounds is the largest number."""
        for name, one in self.outputs.items():
            yield (
                name,
                {
                    "labels": one.labels,
                    "rows": one.rows,
                    "equal": one.equal,
                    "ties": one.ties,
                    "largest": min(one.largest, sys.float_info.max),
                    "mean": min(one.total / max(one.rows, 1), sys.float_info.max),
                    "range": one.range if np.isfinite(one.range) else 0.0,
                },
            )


def _gaps(one: Array, other: Array) -> Array:
    """Differences; none where both are the same NaN or infinity."""
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    with np.errstate(invalid="ignore"):
        gaps = np.abs(one.astype(np.float64) - other.astype(np.float64))
    return np.where(same, 0.0, np.where(np.isnan(gaps), np.inf, gaps))


def _tied(scores: list[Array], rows: int) -> Array:
    """Which rows have two highest scores that are equal within `TIE`, in some output of scores.

    Scores are `[N]`, `[N, classes]`, or of several labels `[N, labels, classes]`.
    """
    tied = np.zeros(rows, bool)
    for values in scores:
        classes = values.shape[-1] if values.ndim > 1 else 1
        each = values.reshape(rows, -1, max(classes, 1)).astype(np.float64)
        if classes == 1:  # a decision: its sign is the label
            tied |= (np.abs(each[..., 0]) <= TIE).any(axis=1)
        elif classes > 1:
            best = np.sort(each, axis=-1)[..., -2:]
            tied |= (best[..., 1] - best[..., 0] <= TIE).any(axis=1)
    return tied


@dataclass(frozen=True)
class Limit:
    """How far one output may be from ONNX Runtime's.

    Attributes:
        largest: of labels, how many may be others; else how far a value may be off.
        mean: how far the worst value of a row may be off in the mean; None of labels.
    """

    largest: float
    mean: float | None

    def is_met(self, said: Mapping[str, Any]) -> bool:
        """Whether an output, as `Answers.plain` gives it, keeps to it."""
        if said["labels"]:
            return bool(said["rows"] - said["equal"] - said["ties"] <= self.largest)
        mean = np.inf if self.mean is None else self.mean
        return bool(said["largest"] <= self.largest and said["mean"] <= mean)


def limit_of(
    output: str, said: Mapping[str, Any], simulated: Mapping[str, Mapping[str, Any]]
) -> Limit:
    """What is allowed of an output.

    Args:
        output: its name.
        said: of a board, as `Answers.plain` gives it.
        simulated: the same of the simulated package, by output; nothing of a model that has to
            give the same answers.
    """
    known, same = simulated.get(output), SAME * max(float(said["range"]), 1.0)
    if known is None or all(map(_is_exact, simulated.values())):
        return Limit(0.0, None) if said["labels"] else Limit(same, same)
    if said["labels"]:
        wrong = known["rows"] - known["equal"] - known["ties"]
        return Limit(float(wrong + round(_ROWS * said["rows"])), None)
    largest, mean = (max(same, _NEAR * min(known[key], 1e300)) for key in ("largest", "mean"))
    return Limit(largest, mean)


def _is_exact(said: Mapping[str, Any]) -> bool:
    """Whether the simulated package gives the same answers, as trees do."""
    if said["labels"]:
        return bool(said["equal"] + said["ties"] == said["rows"])
    return bool(said["largest"] <= SAME * max(said["range"], 1.0))
