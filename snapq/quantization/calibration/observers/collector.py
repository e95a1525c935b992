"""What is kept of one tensor while calibration samples stream past: fixed memory, one pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snapq.quantization.calibration.observers.histogram import Histogram, LogHistogram
from snapq.quantization.encodings import Floats

__all__ = ["SUBSAMPLE", "Collector", "TensorStatistics"]

SUBSAMPLE = 8192
"""About how many values of a large tensor go into the histogram, a sample."""

_MOMENTUM = 0.9
_GAP = 64.0
"""Masked logits lie at least this factor below all others, with nothing between."""


@dataclass(frozen=True)
class TensorStatistics:
    """What calibration saw of one tensor, over all samples.

    Attributes:
        minimum: smallest finite value.
        maximum: largest finite value.
        count: how many values were seen; 0 for a tensor without elements.
        histogram: how they are spread (from an even subsample of large tensors).
    """

    minimum: float
    maximum: float
    count: int
    histogram: Histogram


class Collector:
    """Sees every value of one tensor once.

    Minimum and maximum are taken over every value; the histogram counts an even subsample of large
    tensors.
    """

    def __init__(self) -> None:
        self.minimum = np.inf
        self.maximum = -np.inf
        self.moving_minimum = np.inf
        self.moving_maximum = -np.inf
        self.count = 0
        self._histogram = LogHistogram()

    def update(self, minimum: float, maximum: float, count: int, picks: Floats) -> None:
        """Takes one sample: of its values the extremes, their number, and an even subsample.

        A minimum of -inf, a mask, is none. The subsample is flat and has no NaN.
        """
        if not count:
            return
        if minimum == -np.inf:
            minimum = float(picks.min(where=np.isfinite(picks), initial=maximum))
        if self.count:
            self.moving_minimum += (1 - _MOMENTUM) * (minimum - self.moving_minimum)
            self.moving_maximum += (1 - _MOMENTUM) * (maximum - self.moving_maximum)
        else:
            self.moving_minimum, self.moving_maximum = minimum, maximum
        self.minimum = min(self.minimum, minimum)
        self.maximum = max(self.maximum, maximum)
        self.count += count
        self._histogram.update(picks)

    @property
    def empty(self) -> bool:
        """Whether nothing finite was seen."""
        return not self.minimum <= self.maximum

    def bins(
        self,
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """Lower ends, upper ends and counts of the histogram's filled bins, ascending."""
        return self._histogram.bins(self.minimum, self.maximum)

    def linear(self, bins: int) -> npt.NDArray[np.int64]:
        """Counts in equal bins from the minimum to the maximum."""
        return self._histogram.linear(self.minimum, self.maximum, bins)

    def unmasked(self) -> tuple[float, float] | None:
        """The range of the others where some values lie far below them; None where none do.

        Such a mask is added to logits so that Softmax gives nothing: -10000, -3e38, -inf.
        """
        if self.empty:
            return None
        lower, upper, _ = self._histogram.bins(-np.inf, np.inf)
        rest = np.maximum(max(self.maximum, 1.0), -lower[1:])
        gaps = np.flatnonzero(upper[:-1] < -_GAP * rest)
        return (float(lower[gaps[-1] + 1]), self.maximum) if gaps.size else None

    def statistics(self, bins: int = 128) -> TensorStatistics:
        """What was seen."""
        if self.empty:
            return TensorStatistics(0.0, 0.0, self.count, Histogram(0.0, 0.0, ()))
        counts = tuple(int(count) for count in self.linear(bins))
        histogram = Histogram(self.minimum, self.maximum, counts)
        return TensorStatistics(self.minimum, self.maximum, self.count, histogram)
