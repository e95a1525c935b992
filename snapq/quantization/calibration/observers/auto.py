"""The auto observer: for each tensor the other observer whose range errs least."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snapq.precision import ObserverName
from snapq.quantization.calibration.observers.base import Observer
from snapq.quantization.calibration.observers.collector import Collector
from snapq.quantization.calibration.observers.entropy import Entropy
from snapq.quantization.calibration.observers.minmax import MinMax
from snapq.quantization.calibration.observers.moving_average import MovingAverage
from snapq.quantization.calibration.observers.mse import Mse
from snapq.quantization.calibration.observers.noise import noise
from snapq.quantization.calibration.observers.percentile import Percentile
from snapq.quantization.calibration.observers.sqnr import Sqnr
from snapq.quantization.encodings import QuantType

__all__ = ["Auto"]

_CLIPPING = 2.0
"""Between mse and sqnr, so that neither wins by its own measure."""


@dataclass(frozen=True)
class Auto(Observer):
    """Asks every candidate and keeps the range with the least expected error on the histogram.

    Attributes:
        candidates: whom to ask; the first of equals wins.
    """

    name = ObserverName.AUTO
    for_8_bits = True

    candidates: tuple[Observer, ...] = (
        MinMax(),
        MovingAverage(),
        Percentile(),
        Entropy(),
        Mse(),
        Sqnr(),
    )

    def range(self, seen: Collector, dtype: QuantType) -> tuple[float, float]:
        """The range of the candidate that errs least."""
        if seen.empty:
            return 0.0, 0.0
        ranges = [one.range(seen, dtype) for one in self.candidates]
        errors = [_error(seen, limits, dtype) for limits in ranges]
        return ranges[int(np.argmin(errors))]


def _error(seen: Collector, limits: tuple[float, float], dtype: QuantType) -> float:
    low, high = np.array([min(limits[0], 0.0)]), np.array([max(limits[1], 0.0)])
    return float(noise(seen, low, high, dtype, _CLIPPING)[0, 0])
