"""The auto observer: for each tensor the other observer whose range errs least."""

from __future__ import annotations

import numpy as np

from snapq.quantization.calibration.observers.base import observer, register
from snapq.quantization.calibration.observers.collector import Collector
from snapq.quantization.calibration.observers.noise import noise
from snapq.quantization.encodings import QuantType

__all__ = ["auto"]

_CANDIDATES = ("min-max", "moving-average", "percentile", "entropy", "mse", "sqnr")
"""The first of equals wins."""
_CLIPPING = 2.0
"""Between mse and sqnr, so that neither wins by its own measure."""


@register("auto")
def auto(seen: Collector, dtype: QuantType) -> tuple[float, float]:
    """Asks every observer and keeps the range with the least expected error on the histogram."""
    if seen.empty:
        return 0.0, 0.0
    ranges = [observer(name)(seen, dtype) for name in _CANDIDATES]
    errors = [_error(seen, limits, dtype) for limits in ranges]
    return ranges[int(np.argmin(errors))]


def _error(seen: Collector, limits: tuple[float, float], dtype: QuantType) -> float:
    low, high = np.array([min(limits[0], 0.0)]), np.array([max(limits[1], 0.0)])
    return float(noise(seen, low, high, dtype, _CLIPPING)[0, 0])
