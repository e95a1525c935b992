"""The sqnr observer: as mse, but clipping counts more."""

from __future__ import annotations

from snapq.quantization.calibration.observers.base import register
from snapq.quantization.calibration.observers.collector import Collector
from snapq.quantization.calibration.observers.noise import least_noise
from snapq.quantization.encodings import QuantType

__all__ = ["sqnr"]

_CLIPPING = 3.0


@register("sqnr")
def sqnr(seen: Collector, dtype: QuantType) -> tuple[float, float]:
    """The best ratio of signal to noise, with the noise of clipping weighed by 3.

    Clipped values are the large ones, and a network answers by its large values: their error is
    worth more than its energy. AIMET calls this scheme SQNR and has the same weight.
    """
    return least_noise(seen, dtype, clipping=_CLIPPING)
