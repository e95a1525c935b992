"""The sqnr observer: as mse, but clipping counts more."""

from __future__ import annotations

from dataclasses import dataclass

from snapq.precision import ObserverName
from snapq.quantization.calibration.observers.base import Observer
from snapq.quantization.calibration.observers.collector import Collector
from snapq.quantization.calibration.observers.noise import least_noise
from snapq.quantization.encodings import QuantType

__all__ = ["Sqnr"]

_CLIPPING = 3.0


@dataclass(frozen=True)
class Sqnr(Observer):
    """The best ratio of signal to noise, with the noise of clipping weighed by 3.

    Clipped values are the large ones, and a network answers by its large values: their error is
    worth more than its energy. AIMET calls this scheme SQNR and has the same weight.
    """

    name = ObserverName.SQNR
    for_8_bits = True

    def range(self, seen: Collector, dtype: QuantType) -> tuple[float, float]:
        """The range with the least weighed error on the histogram."""
        return least_noise(seen, dtype, clipping=_CLIPPING)
