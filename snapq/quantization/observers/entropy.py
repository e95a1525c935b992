"""The entropy observer: the range whose integers tell most of the distribution."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from snapq.quantization.encodings import QuantType
from snapq.quantization.observers.base import register
from snapq.quantization.observers.collector import Collector

__all__ = ["entropy"]

_BINS = 2048
_SHARES = np.linspace(0.25, 1.0, 49)[::-1]


@register("entropy")
def entropy(seen: Collector, dtype: QuantType) -> tuple[float, float]:
    """Least Kullback-Leibler divergence between the values and what their integers say of them.

    Candidates are shares of the whole range, both ends alike. With more than 8 bits there are more
    integers than bins, and the whole range is best.

    Source: Migacz, "8-bit inference with TensorRT", GTC 2017.
    """
    if seen.empty:
        return 0.0, 0.0
    low, high = min(seen.minimum, 0.0), max(seen.maximum, 0.0)
    levels = 2**dtype.bits
    counts = seen.linear(_BINS)
    if levels >= _BINS or counts.size < _BINS:
        return seen.minimum, seen.maximum
    edges = np.linspace(seen.minimum, seen.maximum, _BINS + 1)
    scores = []
    for share in _SHARES:
        first = int(np.searchsorted(edges, low * share, side="right")) - 1
        last = int(np.searchsorted(edges, high * share, side="left"))
        scores.append(_divergence(counts, max(first, 0), min(last, _BINS), levels))
    best = float(_SHARES[int(np.argmin(scores))])
    return max(low * best, seen.minimum), min(high * best, seen.maximum)


def _divergence(counts: npt.NDArray[np.int64], first: int, last: int, levels: int) -> float:
    """Divergence of the bins `first..last`, the rest added at their ends, from `levels` steps."""
    inner = counts[first:last].astype(np.float64)
    if inner.size < levels:
        return float("inf")
    truth = inner.copy()
    truth[0] += counts[:first].sum()
    truth[-1] += counts[last:].sum()
    starts = (np.arange(levels) * inner.size) // levels
    filled = truth > 0
    mass = np.add.reduceat(inner, starts)
    share = np.add.reduceat(filled.astype(np.float64), starts)
    level = np.repeat(np.arange(levels), np.diff(np.append(starts, inner.size)))
    told = np.where(filled, (mass / np.maximum(share, 1))[level], 0.0)
    p, q = truth / truth.sum(), told / max(told.sum(), 1e-300)
    compared = (p > 0) & (q > 0)
    missing = p[(p > 0) & (q == 0)].sum()
    return float((p[compared] * np.log(p[compared] / q[compared])).sum() + missing * 50.0)
