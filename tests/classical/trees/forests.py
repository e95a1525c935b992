"""Random tree ensembles in the plain form, with all that makes comparisons hard."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snapq.classical.ensemble import Conditions, Ensemble
from snapq.classical.estimator import Estimator

NASTY = (0.0, -0.0, 1.0, 1.0000001, -1e-38, 1e-45, 3e38, -3e38, float("inf"), -float("inf"))


@dataclass(frozen=True)
class Kind:
    """What random trees are like.

    Attributes:
        trees: how many.
        depth: of each; leaves come earlier at random where `ragged`.
        features: columns of the rows.
        targets: sums a row.
        thresholds: to draw from; normal numbers where empty.
        nan_both: send NaN to either side, also in one feature; else to the false side.
        members: draw some conditions as sets of members.
        one_target: each tree adds to one target, in turn.
        ragged: trees are not perfect.
    """

    trees: int = 5
    depth: int = 4
    features: int = 3
    targets: int = 1
    thresholds: tuple[float, ...] = ()
    nan_both: bool = False
    members: bool = False
    one_target: bool = False
    ragged: bool = True


_Key = tuple[int, float, bool, tuple[float, ...] | None]


def ensemble(seed: int, kind: Kind) -> Ensemble:
    """Draws an ensemble."""
    growing = _Growing(np.random.default_rng(seed), kind)
    roots = [growing.grow(tree, kind.depth) for tree in range(kind.trees)]
    keys = list(growing.conditions)
    conditions = Conditions(
        np.array([key[0] for key in keys], np.int32),
        np.array([key[1] for key in keys], np.float32),
        np.array([key[2] for key in keys], np.bool_),
        tuple(key[3] for key in keys),
    )
    nodes = np.array(growing.nodes, np.int32).reshape(-1, 3)
    return Ensemble(
        f"trees_{seed}",
        kind.features,
        conditions,
        nodes[:, 0],
        nodes[:, 1],
        nodes[:, 2],
        np.array(growing.values, np.float64).reshape(len(nodes), kind.targets),
        np.array(roots, np.int32),
        np.zeros(kind.targets, np.float32),
        "sum",
        "NONE",
        None,
        False,
    )


def estimator(seed: int, kind: Kind, name: str = "") -> Estimator:
    """An ensemble that reads `rows` and makes `sums` (followed by the name)."""
    return Estimator(ensemble(seed, kind), f"rows{name}", f"sums{name}")


class _Growing:
    def __init__(self, rng: np.random.Generator, kind: Kind) -> None:
        self.rng = rng
        self.kind = kind
        self.conditions: dict[_Key, int] = {}
        self.nodes: list[list[int]] = []
        self.values: list[np.ndarray] = []

    def grow(self, tree: int, depth: int) -> int:
        here = len(self.nodes)
        self.nodes.append([-1, -1, -1])
        self.values.append(np.zeros(self.kind.targets))
        if depth == 0 or (self.kind.ragged and self.rng.random() < 0.15):
            self.values[here] = self._leaf(tree)
            return here
        key = self._condition()
        self.nodes[here][0] = self.conditions.setdefault(key, len(self.conditions))
        self.nodes[here][1] = self.grow(tree, depth - 1)
        self.nodes[here][2] = self.grow(tree, depth - 1)
        return here

    def _leaf(self, tree: int) -> np.ndarray:
        values = self.rng.standard_normal(self.kind.targets).astype(np.float32)
        if self.kind.one_target:
            values[np.arange(self.kind.targets) != tree % self.kind.targets] = 0
        return values

    def _condition(self) -> _Key:
        rng, kind = self.rng, self.kind
        feature = int(rng.integers(kind.features))
        nan_true = bool(kind.nan_both and rng.integers(2))
        if kind.members and rng.random() < 0.3:
            values = sorted({float(v) for v in rng.integers(0, 5, rng.integers(0, 4))})
            return feature, float("nan"), nan_true, tuple(values)
        drawn = rng.choice(kind.thresholds) if kind.thresholds else rng.standard_normal()
        return feature, float(np.float32(drawn)), nan_true, None
