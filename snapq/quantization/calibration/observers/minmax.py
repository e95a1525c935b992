"""The min-max observer: the range is exactly what was seen."""

from __future__ import annotations

from snapq.quantization.calibration.observers.base import register
from snapq.quantization.calibration.observers.collector import Collector
from snapq.quantization.encodings import QuantType

__all__ = ["min_max"]


@register("min-max")
def min_max(seen: Collector, dtype: QuantType) -> tuple[float, float]:
    """The smallest and the largest value; `(0, 0)` where nothing was seen."""
    return (0.0, 0.0) if seen.empty else (seen.minimum, seen.maximum)
