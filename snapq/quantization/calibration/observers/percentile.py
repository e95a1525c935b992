"""The percentile observer: all but the rarest values on each side."""

from __future__ import annotations

import numpy as np

from snapq.quantization.calibration.observers.base import (
    Observer,
    register,
    register_with_number,
)
from snapq.quantization.calibration.observers.collector import Collector
from snapq.quantization.encodings import QuantType

__all__ = ["percentile"]

_USUAL = 99.99
"""Percent of the values inside, both sides together."""


@register("percentile")
def percentile(seen: Collector, dtype: QuantType) -> tuple[float, float]:
    """The range that leaves one in 20,000 values outside on each side.

    Source: McKinstry et al., arXiv:1809.04191.
    """
    return _inside(seen, _USUAL)


@register_with_number("percentile", above=50.0, most=100.0)
def percentile_of(percent: float) -> Observer:
    """The observer whose range holds that percent of the values, and half of the rest each side."""
    return lambda seen, dtype: _inside(seen, percent)


def _inside(seen: Collector, percent: float) -> tuple[float, float]:
    if seen.empty:
        return 0.0, 0.0
    outside = 1 - percent / 100
    if outside == 0:  # the histogram of a large tensor is of some of its values only
        return seen.minimum, seen.maximum
    lower, upper, counts = seen.bins()
    cumulative = np.cumsum(counts)
    total = int(cumulative[-1])
    ends = []
    for target in (total * outside / 2, total * (1 - outside / 2)):
        index = min(int(np.searchsorted(cumulative, target)), counts.size - 1)
        inside = (target - (cumulative[index] - counts[index])) / counts[index]
        ends.append(float(lower[index] + inside * (upper[index] - lower[index])))
    return ends[0], ends[1]
