"""The samples of the benchmark: pictures of ten kinds."""

from __future__ import annotations

import numpy as np

SHAPE = (1, 3, 32, 32)
CLASSES = 10


def picture(seed: int) -> tuple[np.ndarray, int]:
    """One picture `[1, 3, 32, 32]` and its kind: the kind's coarse pattern, moved, with noise."""
    rng = np.random.default_rng(seed)
    kind = int(rng.integers(CLASSES))
    pattern = np.random.default_rng(10**6 + kind).normal(size=(1, 3, 8, 8))
    moved = np.roll(pattern.repeat(4, 2).repeat(4, 3), tuple(rng.integers(-4, 5, 2)), (2, 3))
    strength = rng.uniform(0.4, 1.2)
    return (strength * moved + 0.6 * rng.normal(size=SHAPE)).astype(np.float32), kind


def pictures(count: int, first: int = 0) -> list[np.ndarray]:
    """Pictures that the networks were not trained on."""
    return [picture(seed)[0] for seed in range(first, first + count)]
