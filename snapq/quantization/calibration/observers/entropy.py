"""The entropy observer: the range whose integers tell most of the distribution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snapq.precision import ObserverName
from snapq.quantization.calibration.observers.base import Observer
from snapq.quantization.calibration.observers.collector import Collector
from snapq.quantization.encodings import QuantType

__all__ = ["Entropy", "RunningSums"]

_BINS = 2048
_LOST = 50.0
"""Divergence for each value that has no integer."""
_SHARES = np.linspace(0.25, 1.0, 49)[::-1]


@dataclass(frozen=True)
class Entropy(Observer):
    """Least Kullback-Leibler divergence between the values and what their integers say of them.

    Candidates are shares of the whole range, both ends alike. With more than 8 bits there are more
    integers than bins, and the whole range is best. Values that pile up in one bin, at zero behind
    a ReLU and at both limits of a Clip, are exact in any range and would drown all others: they
    count as much as the bin beside them.

    Source: Migacz, "8-bit inference with TensorRT", GTC 2017.
    """

    name = ObserverName.ENTROPY
    for_8_bits = True

    def range(self, seen: Collector, dtype: QuantType) -> tuple[float, float]:
        """The share of what was seen with the least divergence."""
        if seen.empty:
            return 0.0, 0.0
        low, high = min(seen.minimum, 0.0), max(seen.maximum, 0.0)
        levels = 2**dtype.bits
        counts = seen.linear(_BINS)
        if levels >= _BINS or counts.size < _BINS:
            return seen.minimum, seen.maximum
        edges = np.linspace(seen.minimum, seen.maximum, _BINS + 1)
        between = _without_piles(counts, edges)
        if not between.any():
            return seen.minimum, seen.maximum
        sums = RunningSums(between)
        scores = []
        for share in _SHARES:
            first = int(np.searchsorted(edges, low * share, side="right")) - 1
            last = int(np.searchsorted(edges, high * share, side="left"))
            scores.append(sums.divergence(max(first, 0), min(last, _BINS), levels))
        best = float(_SHARES[int(np.argmin(scores))])
        return max(low * best, seen.minimum), min(high * best, seen.maximum)


class RunningSums:
    """Running sums over a histogram, from which any range of it is scored without a look at bins.

    All bins of one level have the same probability, so that the divergence needs of each level how
    many values and filled bins it has, and of all together `sum n log n`.
    """

    def __init__(self, counts: npt.NDArray[np.int64]) -> None:
        self._counts = counts.astype(np.float64)
        self._values = _running(self._counts)
        self._filled = _running((counts > 0).astype(np.float64))
        self._logs = _running(_n_log_n(self._counts))

    def divergence(self, first: int, last: int, levels: int) -> float:
        """Divergence of bins `[first, last)`, the rest at their ends, from `levels` integers."""
        size = last - first
        if size < levels:
            return float("inf")
        bounds = first + (np.arange(levels + 1) * size) // levels
        inside = np.diff(self._values[bounds])
        filled = np.diff(self._filled[bounds])
        logs = self._logs[last] - self._logs[first]
        everything = inside.copy()
        rest = (self._values[first], self._values[-1] - self._values[last])
        for level, bin_, beyond in ((0, first, rest[0]), (levels - 1, last - 1, rest[1])):
            own = self._counts[bin_]
            everything[level] += beyond
            filled[level] += own == 0 and beyond > 0
            logs += _n_log_n(own + beyond) - _n_log_n(own)
        told = inside > 0
        lost = everything[~told]
        logs -= float(_n_log_n(lost).sum())
        total, kept = everything.sum(), everything[told].sum()
        share = inside[told] / filled[told] / max(inside.sum(), 1e-300)
        own_entropy = (logs - kept * np.log(total)) / total
        cross_entropy = (everything[told] * np.log(share)).sum() / total
        return float(own_entropy - cross_entropy + lost.sum() / total * _LOST)


def _without_piles(
    counts: npt.NDArray[np.int64], edges: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """The counts with the bins at zero and at both ends no higher than those beside them."""
    level = counts.copy()
    zero = int(np.clip(np.searchsorted(edges, 0.0, side="right") - 1, 0, counts.size - 1))
    for bin_ in (zero, 0, counts.size - 1):
        beside = counts[max(bin_ - 1, 0) : bin_ + 2].tolist()
        beside.pop(min(bin_, 1))
        level[bin_] = min(int(counts[bin_]), max(beside))
    return level


def _running(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.concatenate([[0.0], np.cumsum(values)])


def _n_log_n(counts: npt.ArrayLike) -> npt.NDArray[np.float64]:
    given = np.asarray(counts, np.float64)
    return np.asarray(given * np.log(np.maximum(given, 1.0)))
