"""The mse observer: the range with the least squared error."""

from __future__ import annotations

from dataclasses import dataclass

from snapq.precision import ObserverName
from snapq.quantization.calibration.observers.base import Observer
from snapq.quantization.calibration.observers.collector import Collector
from snapq.quantization.calibration.observers.noise import least_noise
from snapq.quantization.encodings import QuantType

__all__ = ["Mse"]


@dataclass(frozen=True)
class Mse(Observer):
    """Weighs what clipping costs against what a finer step gains.

    Source: Nagel et al., arXiv:2106.08295, section 3.1.
    """

    name = ObserverName.MSE
    for_8_bits = True

    def range(self, seen: Collector, dtype: QuantType) -> tuple[float, float]:
        """The range with the least squared error on the histogram."""
        return least_noise(seen, dtype, clipping=1.0)
