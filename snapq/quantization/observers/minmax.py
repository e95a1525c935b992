"""The min-max observer: the range is exactly what was seen."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from snapq.quantization.observers.base import TensorStatistics, register
from snapq.quantization.observers.histogram import StreamingHistogram

__all__ = ["MinMax"]

_HISTOGRAM_VALUES = 16384


@register("min-max")
class MinMax:
    """Keeps the smallest and the largest value of all samples.

    Minimum and maximum are taken over every value; the histogram, which is for the reader, counts
    an even subsample of large tensors.
    """

    def __init__(self) -> None:
        self._minimum = np.inf
        self._maximum = -np.inf
        self._count = 0
        self._histogram = StreamingHistogram()

    def update(self, values: npt.NDArray[np.float32]) -> None:
        """Takes the tensor's values of one sample, flat."""
        if not values.size:
            return
        self._minimum = min(self._minimum, float(values.min()))
        self._maximum = max(self._maximum, float(values.max()))
        self._count += values.size
        # An odd stride does not fall into step with channels, whose number is mostly even.
        stride = max(1, values.size // _HISTOGRAM_VALUES) | 1
        self._histogram.update(values[::stride])

    def range(self) -> tuple[float, float]:
        """The range that an encoding shall cover: `(0, 0)` where nothing was seen."""
        return (self._minimum, self._maximum) if self._count else (0.0, 0.0)

    def statistics(self) -> TensorStatistics:
        """What was seen."""
        low, high = self.range()
        return TensorStatistics(low, high, self._count, self._histogram.snapshot())
