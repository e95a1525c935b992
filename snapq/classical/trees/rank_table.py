"""The table by which a host finds the rank of a value among sorted thresholds in a few steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snapq.classical.program import Array
from snapq.classical.program.steps.tree_encoding import ordered_bits

BUCKETS = (64, 256, 1024, 4096, 16384)
_LARGEST_SCALE = 1e38
_HALVING_COSTS = 3
"""One more halving is worth a table of so many times the size, which caches hold less well."""


@dataclass(frozen=True)
class RankTable:
    """Attributes and arrays of the step `tree_ranks` but for its features."""

    attributes: dict[str, int]
    arrays: dict[str, Array]

    @property
    def halvings(self) -> int:
        """Comparisons a value."""
        return self.attributes["halvings"]


def build(thresholds: Sequence[NDArray[np.float32]]) -> RankTable:
    """Chooses the buckets with which the fewest comparisons are left.

    Args:
        thresholds: for each column the distinct ones, ascending.
    """
    tables = [make(thresholds, b) for b in BUCKETS for make in (equal_widths, equal_bits)]
    return min(
        tables,
        key=lambda t: (1 + t.halvings) * _HALVING_COSTS + np.log2(t.attributes["buckets"]) / 2,
    )


def equal_widths(thresholds: Sequence[NDArray[np.float32]], buckets: int) -> RankTable:
    """Buckets of equal width between the least and the greatest threshold."""
    finite = [t[np.isfinite(t)].astype(np.float64) for t in thresholds]
    low = np.array([t[0] if len(t) else 0.0 for t in finite])
    high = np.array([t[-1] if len(t) else 0.0 for t in finite])
    with np.errstate(divide="ignore"):
        scale = np.minimum(buckets / (high - low), _LARGEST_SCALE)
    arrays = {"low": low.astype(np.float32), "scale": scale.astype(np.float32)}
    last = np.float32(buckets - 1)
    # The arithmetic of the step, to the last bit.
    with np.errstate(over="ignore", invalid="ignore"):
        exact = [
            (t - least) * factor
            for t, least, factor in zip(thresholds, arrays["low"], arrays["scale"], strict=True)
        ]
    places = [np.fmin(np.fmax(p, np.float32(0)), last).astype(np.int64) for p in exact]
    return _table(thresholds, places, {"buckets": buckets, "shift": -1}, arrays)


def equal_bits(thresholds: Sequence[NDArray[np.float32]], buckets: int) -> RankTable:
    """Buckets of equal width in the ordered bits: fine near 0, wide far out."""
    none = np.zeros(1, np.bool_)
    keys = [ordered_bits(t[:, None], none)[:, 0] for t in thresholds]
    low = np.array([k[0] if len(k) else 0 for k in keys], np.uint32)
    high = np.array([k[-1] if len(k) else 0 for k in keys], np.uint32)
    widest = int(max((high - low).max(initial=0), 1))
    shift = max(widest.bit_length() - buckets.bit_length() + 1, 0)
    places = [
        ((k - least) >> np.uint32(shift)).astype(np.int64)
        for k, least in zip(keys, low, strict=True)
    ]
    attributes = {"buckets": buckets, "shift": shift}
    return _table(thresholds, places, attributes, {"low": low, "high": high})


def _table(
    thresholds: Sequence[NDArray[np.float32]],
    places: Sequence[NDArray[np.int64]],
    attributes: dict[str, int],
    arrays: dict[str, Array],
) -> RankTable:
    """Writes the table, given the bucket of each threshold."""
    edges = np.arange(attributes["buckets"])
    fullest = max(int(np.bincount(place).max()) for place in places)
    halvings = fullest.bit_length()
    padding = np.full((1 << halvings) - 1, np.inf, np.float32)
    counts = np.array([len(t) for t in thresholds], np.int32)
    first = np.concatenate([[0], np.cumsum(counts + len(padding))[:-1]]).astype(np.int32)
    starts = [f + np.searchsorted(place, edges) for f, place in zip(first, places, strict=True)]
    found = {
        "starts": np.concatenate(starts).astype(np.int32),
        "thresholds": np.concatenate([part for t in thresholds for part in (t, padding)]),
        "first": first,
        "counts": counts,
    }
    return RankTable({**attributes, "halvings": halvings}, {**arrays, **found})
