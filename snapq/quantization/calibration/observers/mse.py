"""The mse observer: the range with the least squared error."""

from __future__ import annotations

from snapq.quantization.calibration.observers.base import register
from snapq.quantization.calibration.observers.collector import Collector
from snapq.quantization.calibration.observers.noise import least_noise
from snapq.quantization.encodings import QuantType

__all__ = ["mse"]


@register("mse")
def mse(seen: Collector, dtype: QuantType) -> tuple[float, float]:
    """Weighs what clipping costs against what a finer step gains.

    Source: Nagel et al., arXiv:2106.08295, section 3.1.
    """
    return least_noise(seen, dtype, clipping=1.0)
