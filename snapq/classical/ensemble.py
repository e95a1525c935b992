"""The plain form of a tree ensemble, whatever node of ai.onnx.ml it was read from.

Each inner node holds one condition, `x[feature] <= threshold` or `x[feature] in members`, with a
side for NaN. Conditions are distinct: nodes that ask the same share one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from snapq.classical.program.steps.trees import condition_truth, walk

PostTransform = Literal["NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO", "PROBIT"]


@dataclass(frozen=True)
class Conditions:
    """The distinct conditions of an ensemble, C of them.

    Attributes:
        features: int32 [C], the column that is read.
        thresholds: float32 [C]; true where x <= threshold (-0.0 equals 0.0). NaN where `members`
            decides.
        nan_true: bool [C], whether NaN is on the true side.
        members: C entries; None for a threshold, else the values (ascending, without NaN) for
            which the condition is true. No member at all: true for no number.
    """

    features: NDArray[np.int32]
    thresholds: NDArray[np.float32]
    nan_true: NDArray[np.bool_]
    members: tuple[tuple[float, ...] | None, ...]

    def __len__(self) -> int:
        return len(self.features)

    def truth(self, rows: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Tells which conditions hold.

        Args:
            rows: float32 [N, F].

        Returns:
            bool [N, C].
        """
        return condition_truth(rows, self.arrays)

    @cached_property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """The conditions as the host's steps take them: see `condition_truth`.

        A condition without members has no entry in `member_of`; its threshold NaN makes it true
        for no number.
        """
        pairs = [(c, v) for c, values in enumerate(self.members) for v in values or ()]
        return {
            "features": self.features,
            "thresholds": self.thresholds,
            "nan_true": self.nan_true,
            "member_of": np.array([condition for condition, _ in pairs], np.int32),
            "member_values": np.array([value for _, value in pairs], np.float32),
        }


@dataclass(frozen=True)
class Ensemble:
    """Trees whose leaves add up to one sum a target (class, or value of a regression).

    Attributes:
        name: of the ONNX node.
        features: F, columns of its input [N, F].
        conditions: the distinct ones, shared by all nodes.
        condition: int32 [nodes]; -1 at a leaf.
        on_true: int32 [nodes], the node that follows where the condition holds; -1 at a leaf.
        on_false: int32 [nodes], the node that follows elsewhere; -1 at a leaf.
        values: float64 [nodes, targets], what a leaf adds (float32 weights, summed exactly);
            0 at inner nodes.
        roots: int32 [trees].
        base_values: float32 [targets], added once.
        aggregate: whether the sum is divided by the number of trees.
        post_transform: what makes scores of sums.
        labels: one a target (two for one target where `one_score`); None of a regressor.
        one_score: a binary classifier that carries one class id: its only target decides between
            two labels.
    """

    name: str
    features: int
    conditions: Conditions
    condition: NDArray[np.int32]
    on_true: NDArray[np.int32]
    on_false: NDArray[np.int32]
    values: NDArray[np.float64]
    roots: NDArray[np.int32]
    base_values: NDArray[np.float32]
    aggregate: Literal["sum", "average"]
    post_transform: PostTransform
    labels: tuple[int, ...] | tuple[str, ...] | None
    one_score: bool

    @property
    def targets(self) -> int:
        """How many sums there are a row."""
        return int(self.values.shape[1])

    @property
    def leaves(self) -> NDArray[np.int32]:
        """Indices of the nodes that are leaves, int32 [leaves]."""
        return np.flatnonzero(self.condition < 0).astype(np.int32)

    @cached_property
    def depth(self) -> int:
        """Conditions on the longest way from a root to a leaf."""
        depth, front = 0, self.roots
        while True:
            front = front[self.condition[front] >= 0]
            if not len(front):
                return depth
            front = np.concatenate([self.on_true[front], self.on_false[front]])
            depth += 1

    def leaf_of(self, rows: NDArray[np.float32]) -> NDArray[np.int32]:
        """Walks down every tree.

        Args:
            rows: float32 [N, F].

        Returns:
            int32 [N, trees], the leaf (index of a node) that each row reaches.
        """
        return walk(rows, self.arrays)

    @cached_property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """The trees as the host's steps take them: see `walk`."""
        return {
            **self.conditions.arrays,
            "condition": self.condition,
            "on_true": self.on_true,
            "on_false": self.on_false,
            "roots": self.roots,
        }

    def sums(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Adds up the leaves that each row reaches; base values and averages come behind it.

        Args:
            rows: float32 [N, F].

        Returns:
            float64 [N, targets].
        """
        leaves = self.leaf_of(rows)
        total = np.zeros((len(rows), self.targets))
        for tree in range(leaves.shape[1]):
            total += self.values[leaves[:, tree]]
        return total
