"""The moving-average observer: the usual extremes of a sample, not the rarest."""

from __future__ import annotations

from dataclasses import dataclass

from snapq.precision import ObserverName
from snapq.quantization.calibration.observers.base import Observer
from snapq.quantization.calibration.observers.collector import Collector
from snapq.quantization.encodings import QuantType

__all__ = ["MovingAverage"]


@dataclass(frozen=True)
class MovingAverage(Observer):
    """Each sample's minimum and maximum, averaged with weights that fade by 0.9 a sample.

    Source: Jacob et al., arXiv:1712.05877, section 3.1.
    """

    name = ObserverName.MOVING_AVERAGE
    counts = False

    def range(self, seen: Collector, dtype: QuantType) -> tuple[float, float]:
        """The faded averages, whatever the type."""
        return (0.0, 0.0) if seen.empty else (seen.moving_minimum, seen.moving_maximum)
