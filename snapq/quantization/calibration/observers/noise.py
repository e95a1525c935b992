"""Expected quantization noise of a histogram, by range: rounding inside, clipping outside."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from snapq.quantization.calibration.observers.collector import Collector
from snapq.quantization.encodings import QuantType

__all__ = ["Function", "least_noise", "noise"]

_SHARES = np.linspace(0.1, 1.0, 91)
"""Candidates for each end of the range, as shares of the largest value on that side."""

_NEAR_ZERO = np.arange(-8.0, 0.0, 0.25)
"""Further candidates for the lower end where a function of the values counts: activations end
there, wherever the values do."""

Floats = npt.NDArray[np.float64]
Function = Callable[[Floats], Floats]
"""What becomes of values, `[n]` each, before anything else reads them."""


def noise(
    seen: Collector,
    lows: Floats,
    highs: Floats,
    dtype: QuantType,
    clipping: float,
    behind: Function | None = None,
) -> Floats:
    """Sum of squared errors, `[L, H]`, of each pair of `lows` (`[L]`, at most 0) and `highs`.

    A value inside a range is off by `step^2 / 12`, zero by nothing; one outside by its distance,
    whose noise counts `clipping` times. With a function `behind`, errors are those of what it gives
    (of a small error its slope times as much).
    """
    lower, upper, counts = seen.bins()
    centre = (lower + upper) / 2
    given, low_ends, high_ends = centre, lows, highs
    weights = np.where(centre != 0, counts, 0).astype(np.float64)
    if behind is not None:
        sizes = [len(part) for part in (lower, upper, centre, lows)]
        parts = np.split(
            behind(np.concatenate([lower, upper, centre, lows, highs])), np.cumsum(sizes)
        )
        width = np.where(upper > lower, upper - lower, 1.0)
        weights = weights * np.square((parts[1] - parts[0]) / width)
        given, low_ends, high_ends = parts[2:]
    below = _clipped(-centre[::-1], given[::-1], counts[::-1], (-lows, low_ends))
    above = _clipped(centre, given, counts, (highs, high_ends))
    step = (highs[None, :] - lows[:, None]) / (2**dtype.bits - 1)
    rounding = weights.sum() * step**2 / 12
    return np.asarray(rounding + clipping * (below[:, None] + above[None, :]))


def least_noise(
    seen: Collector, dtype: QuantType, clipping: float, behind: Function | None = None
) -> tuple[float, float]:
    """The range of the least noise; `(0, 0)` where nothing was seen."""
    if seen.empty:
        return 0.0, 0.0
    lows = np.unique(min(seen.minimum, 0.0) * _SHARES)
    highs = np.unique(max(seen.maximum, 0.0) * _SHARES)
    if behind is not None:
        lows = np.union1d(lows, _NEAR_ZERO[seen.minimum < _NEAR_ZERO])
    found = noise(seen, lows, highs, dtype, clipping, behind)
    low, high = np.unravel_index(int(np.argmin(found)), found.shape)
    return float(lows[low]), float(highs[high])


def _clipped(
    values: Floats, given: Floats, counts: npt.NDArray[np.int64], limits: tuple[Floats, Floats]
) -> Floats:
    """Sum of squared distances of what is given for ascending `values` above each limit.

    Of a limit as well both are told: where it lies among the values, and what is given for it.
    """
    weights = counts.astype(np.float64)
    sums = [
        np.append(np.cumsum((weights * power)[::-1])[::-1], 0.0)
        for power in (np.ones_like(given), given, given**2)
    ]
    first = np.searchsorted(values, limits[0], side="right")
    count, total, square = (column[first] for column in sums)
    end = limits[1]
    return np.asarray(np.maximum(square - 2 * end * total + end**2 * count, 0.0))
