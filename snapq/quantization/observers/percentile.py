"""The percentile observer: all but the rarest values on each side."""

from __future__ import annotations

import numpy as np

from snapq.quantization.encodings import QuantType
from snapq.quantization.observers.base import register
from snapq.quantization.observers.collector import Collector

__all__ = ["percentile"]

_OUTSIDE = 1e-4
"""Share of the values that may lie outside, both sides together: the 99.99th percentile."""


@register("percentile")
def percentile(seen: Collector, dtype: QuantType) -> tuple[float, float]:
    """The range that leaves one in 20,000 values outside on each side.

    Source: McKinstry et al., arXiv:1809.04191.
    """
    if seen.empty:
        return 0.0, 0.0
    lower, upper, counts = seen.bins()
    cumulative = np.cumsum(counts)
    total = int(cumulative[-1])
    ends = []
    for target in (total * _OUTSIDE / 2, total * (1 - _OUTSIDE / 2)):
        index = min(int(np.searchsorted(cumulative, target)), counts.size - 1)
        inside = (target - (cumulative[index] - counts[index])) / counts[index]
        ends.append(float(lower[index] + inside * (upper[index] - lower[index])))
    return ends[0], ends[1]
