"""Why a tensor is hard to quantize, told from how its values are spread."""

from __future__ import annotations

import numpy as np

from snapq.quantization.calibration.observers.collector import TensorStatistics
from snapq.quantization.encodings import Encoding

__all__ = ["error_cause"]

_SHARE = 0.95
_FEW_STEPS = 32.0
"""Fewer steps than these for nearly all values: five bits."""
_CUT = 0.02
"""Share of the range; zero points are rounded to whole steps, which cuts a little everywhere."""


def error_cause(seen: TensorStatistics, encoding: Encoding) -> str | None:
    """One clause on a tensor with one scale; None where nothing stands out."""
    low, high = float(encoding.minimum.min()), float(encoding.maximum.max())
    bulk = _bulk(seen)
    steps = (bulk[1] - bulk[0]) / (high - low) * 2.0**encoding.dtype.bits if high > low else 0.0
    if steps < _FEW_STEPS:
        return (
            f"{_SHARE:.0%} of its values lie between {bulk[0]:.3g} and {bulk[1]:.3g}, in "
            f"{max(round(steps), 1)} of {2**encoding.dtype.bits} steps; the range goes from "
            f"{low:.3g} to {high:.3g}"
        )
    if max(low - seen.minimum, seen.maximum - high) > _CUT * (high - low):
        return (
            f"values from {seen.minimum:.3g} to {seen.maximum:.3g} are cut to {low:.3g}..{high:.3g}"
        )
    return None


def _bulk(seen: TensorStatistics) -> tuple[float, float]:
    """The range of the middle 95 % of the values, by the histogram."""
    counts = np.asarray(seen.histogram.counts, np.float64)
    if not counts.sum():
        return seen.minimum, seen.maximum
    edges = np.linspace(seen.histogram.low, seen.histogram.high, len(counts) + 1)
    below = np.cumsum(counts) / counts.sum()
    first = int(np.searchsorted(below, (1 - _SHARE) / 2))
    last = int(np.searchsorted(below, 1 - (1 - _SHARE) / 2))
    return float(edges[first]), float(edges[min(last, len(counts) - 1) + 1])
