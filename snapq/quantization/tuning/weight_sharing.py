"""Weight sharing: few values a codebook, all of them integers of 8 bits.

Optimal k-means in one dimension by dynamic programming (Wang and Song, "Ckmeans.1d.dp", 2011), over
the 255 integers that the weights round to, so that its cost does not depend on their number. The
best integer centre of a cluster is its mean, rounded: the error is a parabola around the mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snapq.quantization.encodings import Encoding, QuantType, broadcast, reduced_axes, symmetric
from snapq.quantization.granularity import PerAxis, PerTensor

__all__ = ["Shared", "codebook", "even", "share"]

Real = npt.NDArray[np.float32]

_LIMIT = 127
_STEPS = 48
"""How many steps are tried to find the best one of an even codebook."""


@dataclass(frozen=True)
class Shared:
    """A weight with few values.

    Attributes:
        values: the weight, each element the value that it shares.
        encoding: in which all of these are integers.
        codebooks: number of codebooks.
        largest: most values in one of them.
    """

    values: Real
    encoding: Encoding
    codebooks: int
    largest: int


def codebook(levels: npt.NDArray[np.float64], clusters: int) -> npt.NDArray[np.int64]:
    """The integers of -127..127 that hold some numbers with the least squared error.

    The numbers are in units of the scale, flat. Gives at most `clusters` integers, ascending; no
    more than there are different ones among the rounded numbers.
    """
    places = np.clip(np.rint(levels), -_LIMIT, _LIMIT).astype(np.int64) + _LIMIT
    size = 2 * _LIMIT + 1
    count = np.bincount(places, minlength=size).astype(np.float64)
    total = np.bincount(places, weights=levels, minlength=size)
    square = np.bincount(places, weights=np.square(levels), minlength=size)
    used = np.flatnonzero(count)
    if used.size <= clusters:
        return used - _LIMIT
    sums = [np.concatenate(([0.0], np.cumsum(part[used]))) for part in (count, total, square)]
    # cost[i, j]: error of one cluster of the used places i..j-1, with its best integer centre.
    n, t, s = (part[None, :] - part[:, None] for part in sums)
    with np.errstate(divide="ignore", invalid="ignore"):
        centre = np.clip(np.rint(np.where(n > 0, t / n, 0.0)), -_LIMIT, _LIMIT)
    cost = np.where(n > 0, s - 2 * centre * t + np.square(centre) * n, np.inf)
    best = cost[0].copy()
    cuts = []
    for _ in range(clusters - 1):
        candidates = best[:, None] + cost
        cut = candidates.argmin(axis=0)
        cuts.append(cut)
        best = np.minimum(candidates.min(axis=0), np.inf)
    end, centres = used.size, []
    for cut in reversed(cuts):
        start = int(cut[end])
        centres.append(int(centre[start, end]))
        end = start
    centres.append(int(centre[0, end]))
    return np.unique(np.asarray(centres, np.int64))


def even(
    weight: Real, shared: PerTensor | PerAxis, clusters: int
) -> tuple[Encoding, npt.NDArray[np.generic]]:
    """Multiples of one step, or of one a channel: the step with the least squared error.

    They go from `-clusters / 2` to `clusters / 2 - 1`. Gives an encoding whose scale is the step,
    int4 where 16 multiples or fewer are enough, and the integers.
    """
    low, high = -(clusters // 2), clusters // 2 - 1
    dtype = QuantType.INT4 if clusters <= 16 else QuantType.INT8
    axes = reduced_axes(weight.shape, shared)
    peak = np.abs(weight).max(axis=axes)
    least = np.full(peak.shape, np.inf)
    chosen = np.zeros(peak.shape, np.float64)
    for share in np.linspace(0.3, 1.15, _STEPS):
        trial = symmetric(peak * share * dtype.qmax / max(high, 0.5), dtype, shared)
        scale, _ = broadcast(trial, weight.ndim)
        error = np.square(np.clip(np.rint(weight / scale), low, high) * scale - weight)
        error = error.sum(axis=axes)
        chosen = np.where(error < least, trial.scale, chosen)
        least = np.minimum(least, error)
    best = Encoding(dtype, chosen.astype(np.float32), np.zeros(chosen.shape, dtype.numpy), shared)
    scale, _ = broadcast(best, weight.ndim)
    return best, np.clip(np.rint(weight / scale), low, high).astype(dtype.numpy)


def share(
    weight: Real,
    granularity: PerTensor | PerAxis,
    clusters: int,
    spacing: str,
    channels: int | None,
) -> Shared:
    """Gives a weight few values: `clusters` a codebook, which `channels` share (None for all).

    Spacing is `free` or `even`; an even codebook has a step for each channel.
    """
    if spacing == "even":
        encoding, integers = even(weight, granularity, clusters)
        scale, _ = broadcast(encoding, weight.ndim)
        values = (integers.astype(np.float64) * scale).astype(np.float32)
        return Shared(values, encoding, int(encoding.scale.size), clusters)
    magnitude = np.abs(weight).max(axis=reduced_axes(weight.shape, granularity))
    encoding = symmetric(magnitude, QuantType.INT8, granularity)
    scale, _ = broadcast(encoding, weight.ndim)
    levels = weight.astype(np.float64) / scale
    shared = np.empty_like(levels)
    books, largest = 0, 0
    for part in _groups(weight.shape, granularity, channels):
        centres = codebook(levels[part].reshape(-1), clusters)
        borders = (centres[1:] + centres[:-1]) / 2
        shared[part] = centres[np.searchsorted(borders, levels[part])]
        books, largest = books + 1, max(largest, centres.size)
    return Shared((shared * scale).astype(np.float32), encoding, books, largest)


def _groups(
    shape: tuple[int, ...], granularity: PerTensor | PerAxis, channels: int | None
) -> Iterator[tuple[slice, ...]]:
    everything = [slice(None)] * len(shape)
    if isinstance(granularity, PerTensor) or channels is None:
        yield tuple(everything)
        return
    for start in range(0, shape[granularity.axis], channels):
        part = list(everything)
        part[granularity.axis] = slice(start, start + channels)
        yield tuple(part)
