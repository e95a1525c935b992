"""Trees on the host: which conditions hold, which leaves are reached, and what these add up to."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..registry import operation
from ..step import Array, Step

_AT_ONCE = 1 << 20
"""Rows times trees that are walked at once: what bounds the memory."""


def condition_truth(rows: Array, conditions: Mapping[str, Array]) -> Array:
    """Tells which conditions hold for which rows.

    Args:
        rows: float32 [N, F].
        conditions: `features` int32 [C], the column that a condition reads; `thresholds` float32
            [C], true where x <= threshold, NaN where members decide; `nan_true` bool [C], the side
            of NaN; `member_of` int32 [M], the condition that a member belongs to; `member_values`
            float32 [M], the values for which that condition is true.

    Returns:
        bool [N, C].
    """
    read = rows[:, conditions["features"]]
    truth = read <= conditions["thresholds"]
    for condition, value in zip(conditions["member_of"], conditions["member_values"]):
        truth[:, condition] |= read[:, condition] == value
    return np.asarray(truth | (np.isnan(read) & conditions["nan_true"]))


def walk(rows: Array, trees: Mapping[str, Array]) -> Array:
    """Walks down every tree.

    Args:
        rows: float32 [N, F].
        trees: the arrays of `condition_truth`, and `condition` int32 [nodes], -1 at a leaf;
            `on_true` and `on_false` int32 [nodes]; `roots` int32 [trees].

    Returns:
        int32 [N, trees], the leaf (index of a node) that each row reaches in each tree.
    """
    count = max(1, _AT_ONCE // max(1, len(trees["roots"])))
    parts = [_walk(rows[start : start + count], trees) for start in range(0, len(rows), count)]
    return np.concatenate(parts) if parts else np.zeros((0, len(trees["roots"])), np.int32)


def _walk(rows: Array, trees: Mapping[str, Array]) -> Array:
    """Walks down every tree, all rows at once, one level after the other."""
    inner = trees["condition"] >= 0
    nodes = np.arange(len(inner), dtype=np.int32)
    asked = np.where(inner, trees["condition"], 0)
    on_true = np.where(inner, trees["on_true"], nodes)
    on_false = np.where(inner, trees["on_false"], nodes)
    at = np.tile(trees["roots"].astype(np.int32), (len(rows), 1))
    if not len(trees["features"]):
        return at
    sets = np.unique(trees["member_of"])
    of_set = np.full(len(trees["features"]), -1)
    of_set[sets] = np.arange(len(sets))
    member_truth = _member_truth(rows, sets, trees)
    numbers = np.arange(len(rows))[:, None]
    while inner[at].any():
        condition = asked[at]
        read = rows[numbers, trees["features"][condition]]
        truth = read <= trees["thresholds"][condition]
        if len(sets):
            which = of_set[condition]
            truth |= (which >= 0) & member_truth[numbers, which]
        truth |= np.isnan(read) & trees["nan_true"][condition]
        at = np.where(truth, on_true[at], on_false[at])
    return at


def _member_truth(rows: Array, sets: Array, trees: Mapping[str, Array]) -> Array:
    """Tells which sets hold the value of a row: bool [N, sets]."""
    truth = np.zeros((len(rows), len(sets)), np.bool_)
    for index, condition in enumerate(sets):
        values = trees["member_values"][trees["member_of"] == condition]
        truth[:, index] = np.isin(rows[:, trees["features"][condition]], values)
    return truth


@operation("tree_leaves")
def tree_leaves(step: Step, rows: Array) -> Array:
    """Gives the leaf (index of a node) that each row reaches in each tree.

    Args:
        step: its arrays are those of `walk`.
        rows: float32 [N, F].

    Returns:
        int32 [N, trees].
    """
    return walk(rows, step.arrays)


@operation("tree_sums")
def tree_sums(step: Step, leaves: Array) -> Array:
    """Adds up (attribute `aggregate`: or takes the least or largest of) the values of leaves.

    Args:
        step: its array `values` is float64 [nodes, targets].
        leaves: int32 [N, trees].

    Returns:
        float64 [N, targets].
    """
    values = step.arrays["values"]
    combine = {"sum": np.add, "min": np.minimum, "max": np.maximum}[step.attributes["aggregate"]]
    total = values[leaves[:, 0]]
    for tree in range(1, leaves.shape[1]):
        total = combine(total, values[leaves[:, tree]])
    return np.asarray(total)


@operation("tree_scored")
def tree_scored(step: Step, leaves: Array) -> Array:
    """Tells which classes have a weight in at least one of the leaves that a row reaches.

    Args:
        step: its array `scored` is bool [nodes, targets].
        leaves: int32 [N, trees].

    Returns:
        bool [N, targets].
    """
    return np.asarray(step.arrays["scored"][leaves].any(axis=1))
