"""Values of leaves as digits that a byte can count.

One leaf of a tree is reached. Where so few trees add to a target that the sum of their digits is
at most 255, a Conv with the digits as weights adds them up exactly in 8 bits; the host makes sums
of the counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snapq.classical.trees.blocks import MOST_COUNTED, Part
from snapq.classical.trees.forest import Forest, Target

EXACT_BITS = 24
"""As many as a float32 has: rounding a value to so many changes it less than float32 sums do."""
ROUGH_BITS = 14
_LARGEST_RADIX = 128
"""Digits are weights of 7 bits."""


@dataclass(frozen=True)
class Digits:
    """How the values of one target are written: `step x (d0 + d1 x radix + d2 x radix^2 ...)`.

    Attributes:
        radix: of the digits.
        count: how many there are.
        step: what the last digit is worth.
    """

    radix: int
    count: int
    step: float

    def of(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """The digits of values, lowest first, int64 [*, count]."""
        whole = np.rint(values / self.step).astype(np.int64)
        powers = self.radix ** np.arange(self.count, dtype=np.int64)
        digits: NDArray[np.int64] = whole[..., None] // powers % self.radix
        return digits

    @property
    def weights(self) -> NDArray[np.float64]:
        """What each digit counts for in steps, whole numbers."""
        return (self.radix ** np.arange(self.count, dtype=np.int64)).astype(np.float64)


def write_values(forest: Forest, parts: Sequence[Part], bits: int) -> dict[Target, Digits]:
    """Chooses the digits of each target to which any leaf adds something.

    Args:
        forest: the trees.
        parts: how they are divided.
        bits: every value is right to within the largest divided by 2^(bits + 1).
    """
    trees: Counter[Target] = Counter()
    for part in parts:
        here = Counter(t for tree in part.trees for t in forest.trees[tree].targets)
        trees |= here
    values: dict[Target, list[NDArray[np.float64]]] = {}
    for tree in forest.trees:
        adds = np.array([leaf.adds for leaf in tree.leaves])
        for target in tree.targets:
            values.setdefault(target, []).append(adds[:, target[1]])
    return {
        target: _digits(np.unique(np.concatenate(found)), trees[target], bits)
        for target, found in sorted(values.items())
    }


def _digits(values: NDArray[np.float64], trees: int, bits: int) -> Digits:
    """The fewest digits that hold all values well enough."""
    radix = min(1 + MOST_COUNTED // trees, _LARGEST_RADIX)
    largest = float(values.max())
    count = 1
    while True:
        digits = Digits(radix, count, largest / (radix**count - 1))
        error = np.abs(np.rint(values / digits.step) * digits.step - values).max()
        if error <= largest * 2.0 ** -(bits + 1):
            return digits
        count += 1
