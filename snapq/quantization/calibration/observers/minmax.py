"""The min-max observer: the range is exactly what was seen."""

from __future__ import annotations

from dataclasses import dataclass

from snapq.precision import ObserverName
from snapq.quantization.calibration.observers.base import Observer
from snapq.quantization.calibration.observers.collector import Collector
from snapq.quantization.encodings import QuantType

__all__ = ["MinMax"]


@dataclass(frozen=True)
class MinMax(Observer):
    """The smallest and the largest value."""

    name = ObserverName.MIN_MAX
    counts = False

    def range(self, seen: Collector, dtype: QuantType) -> tuple[float, float]:
        """What was seen, whatever the type."""
        return (0.0, 0.0) if seen.empty else (seen.minimum, seen.maximum)
