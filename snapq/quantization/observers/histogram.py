"""A histogram that adapts its range to what it sees, in fixed memory."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from snapq.quantization.observers.base import Histogram

__all__ = ["StreamingHistogram"]


class StreamingHistogram:
    """Counts values in a fixed number of equal bins over a range that grows as needed.

    The range grows by doubling, towards the side on which a value lies outside: neighbouring bins
    merge in pairs, so that no count is ever split or estimated.

    Args:
        bins: an even number of bins.
    """

    def __init__(self, bins: int = 2048) -> None:
        self._counts = np.zeros(bins, np.int64)
        self._low = 0.0
        self._high = 0.0
        self._empty = True

    def update(self, values: npt.NDArray[np.float32]) -> None:
        """Counts finite `values` (flat)."""
        if not values.size:
            return
        low, high = float(values.min()), float(values.max())
        if self._empty:
            self._start(low, high)
        while low < self._low or high > self._high:
            self._double(downwards=low < self._low)
        bins = len(self._counts)
        index = ((values.astype(np.float64) - self._low) * (bins / self._width)).astype(np.int64)
        # The upper end of the range belongs to the last bin.
        np.minimum(index, bins - 1, out=index)
        self._counts += np.bincount(index, minlength=bins)

    def snapshot(self, bins: int = 128) -> Histogram:
        """The counts, merged to at most `bins` bins and cut to where there are any."""
        counts, low, width = self._counts, self._low, self._width / len(self._counts)
        filled = np.flatnonzero(counts)
        if not filled.size:
            return Histogram(self._low, self._high, ())
        first, last = int(filled[0]), int(filled[-1]) + 1
        merge = max(1, -(-(last - first) // bins))
        padded = np.zeros(-(-(last - first) // merge) * merge, np.int64)
        padded[: last - first] = counts[first:last]
        merged = padded.reshape(-1, merge).sum(axis=1)
        start = low + first * width
        return Histogram(start, start + len(padded) * width, tuple(int(c) for c in merged))

    @property
    def _width(self) -> float:
        return self._high - self._low

    def _start(self, low: float, high: float) -> None:
        """Takes the first range, widened where all values are one."""
        least = max(abs(low), abs(high), 1e-6) * 1e-3
        self._low, self._high = (low, high) if high - low > least else (low - least, high + least)
        self._empty = False

    def _double(self, *, downwards: bool) -> None:
        half = len(self._counts) // 2
        merged = self._counts.reshape(half, 2).sum(axis=1)
        self._counts = np.zeros_like(self._counts)
        if downwards:
            self._counts[half:] = merged
            self._low -= self._width
        else:
            self._counts[:half] = merged
            self._high += self._width
