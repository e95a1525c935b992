"""The activation-mse observer: ranges whose error is least behind the activation function."""

from __future__ import annotations

from dataclasses import dataclass

from snapq.precision import ObserverName
from snapq.quantization.calibration.observers.base import Observer
from snapq.quantization.calibration.observers.collector import Collector
from snapq.quantization.calibration.observers.noise import Function, least_noise
from snapq.quantization.encodings import QuantType

__all__ = ["ActivationMse"]

_CLIPPING = 3.0


@dataclass(frozen=True)
class ActivationMse(Observer):
    """As mse, but of a tensor that one function alone reads, errors of its results count.

    What `x * Sigmoid(x)` reads may lie at -90, and all below -6 becomes next to nothing: codes
    spent on it are lost to the rest. So ranges end where the function no longer tells values apart,
    and steps count by its slope. Tensors that anything else reads have ranges of the sqnr observer.

    Attributes:
        clipping: how often the noise of clipping counts in front of a function.
    """

    name = ObserverName.ACTIVATION_MSE
    for_8_bits = True
    looks_behind = True

    clipping: float = 1.0

    def range(self, seen: Collector, dtype: QuantType) -> tuple[float, float]:
        """The range with the least weighed error on the histogram."""
        return least_noise(seen, dtype, clipping=_CLIPPING)

    def range_behind(
        self, seen: Collector, dtype: QuantType, function: Function
    ) -> tuple[float, float]:
        """The range with the least weighed error of the function's results."""
        return least_noise(seen, dtype, self.clipping, function)
