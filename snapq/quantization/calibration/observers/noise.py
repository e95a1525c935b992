"""Expected quantization noise of a histogram, by range: rounding inside, clipping outside."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from snapq.quantization.calibration.observers.collector import Collector
from snapq.quantization.encodings import QuantType

__all__ = ["least_noise", "noise"]

_SHARES = np.linspace(0.1, 1.0, 91)
"""Candidates for each end of the range, as shares of the largest value on that side."""

Floats = npt.NDArray[np.float64]


def noise(
    seen: Collector, lows: Floats, highs: Floats, dtype: QuantType, clipping: float
) -> Floats:
    """Sum of squared errors, `[L, H]`, of each pair of `lows` (`[L]`, at most 0) and `highs`.

    A value inside a range is off by `step^2 / 12`, zero by nothing; one outside by its distance,
    whose noise counts `clipping` times.
    """
    lower, upper, counts = seen.bins()
    centre = (lower + upper) / 2
    below = _clipped(-centre[::-1], counts[::-1], -lows)
    above = _clipped(centre, counts, highs)
    step = (highs[None, :] - lows[:, None]) / (2**dtype.bits - 1)
    inside = counts[centre != 0].sum()
    rounding = inside * step**2 / 12
    return np.asarray(rounding + clipping * (below[:, None] + above[None, :]))


def least_noise(seen: Collector, dtype: QuantType, clipping: float) -> tuple[float, float]:
    """The range of the least noise; `(0, 0)` where nothing was seen."""
    if seen.empty:
        return 0.0, 0.0
    lows = np.unique(min(seen.minimum, 0.0) * _SHARES)
    highs = np.unique(max(seen.maximum, 0.0) * _SHARES)
    found = noise(seen, lows, highs, dtype, clipping)
    low, high = np.unravel_index(int(np.argmin(found)), found.shape)
    return float(lows[low]), float(highs[high])


def _clipped(values: Floats, counts: npt.NDArray[np.int64], limits: Floats) -> Floats:
    """Sum of squared distances of ascending `values` above each limit."""
    weights = counts.astype(np.float64)
    sums = [
        np.append(np.cumsum((weights * power)[::-1])[::-1], 0.0)
        for power in (np.ones_like(values), values, values**2)
    ]
    first = np.searchsorted(values, limits, side="right")
    count, total, square = (column[first] for column in sums)
    return np.asarray(np.maximum(square - 2 * limits * total + limits**2 * count, 0.0))
