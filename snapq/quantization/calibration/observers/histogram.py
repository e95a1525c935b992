"""A histogram of real numbers of any size, in fixed memory, whose bins never move.

Bins are those of the float32 format itself: 64 to an octave, told from sign, exponent and the
first six bits of the mantissa. So a value's bin is a shift of its bits, no range has to be known or
grown, and one value of -3e38 takes nothing from the resolution of the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Histogram", "LogHistogram"]

_SHIFT = 17
"""Bits of the mantissa that do not tell bins apart: 23 - 6."""
_FIRST = (127 - 32) << 6
"""Magnitudes below 2^-32 count as zero."""
_BINS = 64 * 64 + 1
"""Bins a sign: zero, and 64 octaves; the last one also takes what is above 2^32."""
_WAITING = 4096
"""This many values are counted at once."""


@dataclass(frozen=True)
class Histogram:
    """Counts of values in equal bins between `low` and `high`, for the reader."""

    low: float
    high: float
    counts: tuple[int, ...]


class LogHistogram:
    """Counts values by sign and magnitude.

    Few values wait for more: counting costs the same for one as for some thousands.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(2 * _BINS, np.int64)
        self._waiting: list[npt.NDArray[np.float32]] = []
        self._waiting_values = 0

    def update(self, values: npt.NDArray[np.float32]) -> None:
        """Counts `values` (flat, not NaN; infinity counts as the largest)."""
        if values.size >= _WAITING:
            self._count(values)
            return
        if not values.size:
            return
        self._waiting.append(values.copy())
        self._waiting_values += values.size
        if self._waiting_values >= _WAITING:
            self._count_waiting()

    def _count_waiting(self) -> None:
        if self._waiting:
            self._count(np.concatenate(self._waiting))
            self._waiting, self._waiting_values = [], 0

    def _count(self, values: npt.NDArray[np.float32]) -> None:
        leading = np.ascontiguousarray(values).view(np.uint32) >> _SHIFT
        self._counts += np.bincount(_BIN_OF.take(leading), minlength=2 * _BINS)

    def bins(
        self, low: float, high: float
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """Lower ends, upper ends and counts, `[n]` each, of the bins that hold values, ascending.

        No bin reaches beyond what was seen, `low` to `high`. That of zero has both ends at zero.
        """
        self._count_waiting()
        negative = self._counts[_BINS:][:0:-1]
        zero = self._counts[:1] + self._counts[_BINS : _BINS + 1]
        counts = np.concatenate([negative, zero, self._counts[1:_BINS]])
        filled = np.flatnonzero(counts)
        lower, upper = _EDGES[0][filled], _EDGES[1][filled]
        return np.clip(lower, low, high), np.clip(upper, low, high), counts[filled]

    def linear(self, low: float, high: float, bins: int) -> npt.NDArray[np.int64]:
        """The counts in equal bins over `[low, high]`; within a bin values are taken as even."""
        lower, upper, counts = self.bins(low, high)
        if not counts.size or high <= low:
            return counts.sum(keepdims=True) if counts.size else counts
        edges = np.linspace(low, high, bins + 1)
        before = np.concatenate([[0], np.cumsum(counts)])
        index = np.clip(np.searchsorted(upper, edges, side="left"), 0, counts.size - 1)
        width = np.maximum(upper[index] - lower[index], 1e-300)
        share = np.clip((edges - lower[index]) / width, 0.0, 1.0)
        # What lies exactly at an edge, zero above all, belongs to the bin above it.
        share[upper[index] <= lower[index]] = 0.0
        reached = before[index] + np.floor(share * counts[index]).astype(np.int64)
        reached[0], reached[-1] = 0, before[-1]
        return np.diff(np.maximum.accumulate(reached))


def _bin_of() -> npt.NDArray[np.int64]:
    """The bin of every sign, exponent and start of a mantissa: non-negative bins, then negative."""
    leading = np.arange(1 << (32 - _SHIFT))
    negative, magnitude = np.divmod(leading, 1 << (31 - _SHIFT))
    bins = np.clip(magnitude - (_FIRST - 1), 0, _BINS - 1) + negative * _BINS
    return np.asarray(bins, np.int64)


def _edges() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Lower and upper end of every bin, from the most negative to the most positive."""
    start = (np.arange(_BINS, dtype=np.uint32) + np.uint32(_FIRST)) << np.uint32(_SHIFT)
    magnitudes = start.view(np.float32).astype(np.float64)
    lower, upper = magnitudes[:-1], magnitudes[1:].copy()
    upper[-1] = np.inf
    return (
        np.concatenate([-upper[::-1], [0.0], lower]),
        np.concatenate([-lower[::-1], [0.0], upper]),
    )


_EDGES = _edges()
_BIN_OF = _bin_of()
