"""Trees on the host: which conditions hold, which leaves are reached."""

from __future__ import annotations

import numpy as np

from ..step import Array


def condition_truth(
    rows: Array,
    features: Array,
    thresholds: Array,
    nan_true: Array,
    member_of: Array,
    member_values: Array,
) -> Array:
    """Tells which conditions hold for which rows.

    Args:
        rows: float32 [N, F].
        features: int32 [C], the column that a condition reads.
        thresholds: float32 [C], true where x <= threshold; NaN where members decide.
        nan_true: bool [C], the side of NaN.
        member_of: int32 [M], the condition that a member belongs to.
        member_values: float32 [M], values for which that condition is true.

    Returns:
        bool [N, C].
    """
    read = rows[:, features]
    truth = read <= thresholds
    for condition, value in zip(member_of, member_values):
        truth[:, condition] |= read[:, condition] == value
    truth |= np.isnan(read) & nan_true
    return truth


def walk(truth: Array, condition: Array, on_true: Array, on_false: Array, roots: Array) -> Array:
    """Walks down every tree, all rows at once.

    Args:
        truth: bool [N, C], which conditions hold.
        condition: int32 [nodes], -1 at a leaf.
        on_true: int32 [nodes].
        on_false: int32 [nodes].
        roots: int32 [trees].

    Returns:
        int32 [N, trees], the leaf that each row reaches in each tree.
    """
    inner = condition >= 0
    nodes = np.arange(len(condition))
    asked = np.where(inner, condition, 0)
    yes = np.where(inner, on_true, nodes).astype(np.int32)
    no = np.where(inner, on_false, nodes).astype(np.int32)
    at = np.broadcast_to(np.asarray(roots, np.int32), (len(truth), len(roots)))
    while inner[at].any():
        at = np.where(np.take_along_axis(truth, asked[at], 1), yes[at], no[at])
    return np.array(at)
