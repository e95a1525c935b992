"""What the leaves of an ensemble add, and for which classes each has a weight."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snapq.classical.reading.graph import Node
from snapq.classical.reading.trees.raw import LEAF, RawTrees


def leaf_values(node: Node, raw: RawTrees, targets: int) -> NDArray[np.float64]:
    """Sums of the weights of each listed node, float64 [nodes, targets].

    Of a regressor with one target ONNX Runtime takes the first weight of a leaf only, and the
    value of the node itself where it has none.

    Raises:
        ModelError: a weight is for no target, or not finite.
    """
    if len(raw.target) and (raw.target.min() < 0 or raw.target.max() >= targets):
        raise node.error(f"a leaf has a weight for none of its {targets} targets")
    if not np.isfinite(raw.weight).all():
        raise node.error("the weight of a leaf is infinite or NaN, so its sums say nothing")
    values = np.zeros((len(raw.mode), targets))
    if targets > 1:
        np.add.at(values, (raw.leaf, raw.target), raw.weight)
        return values
    leaves = raw.mode == LEAF
    values[leaves, 0] = raw.split[leaves]
    values[raw.leaf[::-1], 0] = raw.weight[::-1]
    return values


def weighted(raw: RawTrees, targets: int) -> NDArray[np.bool_]:
    """Whether a listed node has a weight for a target, bool [nodes, targets]."""
    has = np.zeros((len(raw.mode), targets), np.bool_)
    has[raw.leaf, raw.target] = True
    return has


def surely_scored(
    has: NDArray[np.bool_], condition: NDArray[np.int32], roots: NDArray[np.int32]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which targets every row has a weight for, and which no row.

    Args:
        has: bool [nodes, targets], see `weighted`, of the nodes of the finished trees.
        condition: int32 [nodes], LEAF at leaves.
        roots: int32 [trees].

    Returns:
        bool [targets] each: some tree has a weight for it in all its leaves; no leaf has one.
    """
    leaves = condition == LEAF
    tree = _tree_of(condition, roots)
    lacks = np.zeros((len(roots), has.shape[1]), np.bool_)
    np.logical_or.at(lacks, tree[leaves], ~has[leaves])
    return np.asarray((~lacks).any(0)), np.asarray(~has[leaves].any(0))


def _tree_of(condition: NDArray[np.int32], roots: NDArray[np.int32]) -> NDArray[np.int64]:
    """The tree of each node; the nodes are listed level by level, sides next to each other."""
    tree = np.zeros(len(condition), np.int64)
    level = np.arange(len(roots))
    first = 0
    while len(level):
        tree[first : first + len(level)] = level
        inner = condition[first : first + len(level)] != LEAF
        first += len(level)
        level = np.repeat(level[inner], 2)
    return tree
