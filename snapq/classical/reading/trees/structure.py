"""From listed nodes to trees of distinct conditions.

1. Conditions become `x <= threshold` or `x in members` in float32 with a side for NaN; where that
   turns a condition round, the sides change places.
2. Where an `x == a` is followed on its false side by `x == b` with the same true side, the two
   become `x in {a, b}`: converters write sets of categories as chains of these. Parts that are
   alike count as the same.
3. Conditions that hold for all values or for none are left out, as are nodes that no root reaches.
4. A node that several nodes lead to (TreeEnsemble of ai.onnx.ml 5 may do that) becomes several.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snapq.classical.ensemble import Conditions
from snapq.classical.reading.graph import Node
from snapq.classical.reading.trees.raw import EQ, GT, GTE, LEAF, LT, MEMBER, NEQ, RawTrees

MOST_NODES = 20_000_000
"""Nodes of all trees together; more would not fit into memory several times."""


@dataclass(frozen=True)
class Structure:
    """Trees without their values.

    Attributes:
        conditions: the distinct ones.
        condition: int32 [nodes], LEAF at leaves.
        on_true: int32 [nodes].
        on_false: int32 [nodes].
        roots: int32 [trees].
        origin: int64 [nodes], the listed node that each was.
    """

    conditions: Conditions
    condition: NDArray[np.int32]
    on_true: NDArray[np.int32]
    on_false: NDArray[np.int32]
    roots: NDArray[np.int32]
    origin: NDArray[np.int64]


def build_structure(node: Node, raw: RawTrees, features: int) -> Structure:
    """Makes trees of listed nodes.

    Args:
        node: for errors.
        raw: the listed nodes. Its thresholds are float32 values.
        features: columns of the input.

    Raises:
        ModelError: a node reads a column that is not there, or nodes lead in a circle.
    """
    inner = raw.mode != LEAF
    wrong = inner & ((raw.feature < 0) | (raw.feature >= features))
    if wrong.any():
        column = int(raw.feature[wrong][0])
        raise node.error(f"it reads column {column} of an input with {features} columns")
    _refuse_circles(node, raw)
    plain = _plain_conditions(raw)
    _merge_chains(raw, plain)
    _skip_constant(raw, plain)
    order, on_true, on_false, roots = _unfold(node, raw)
    return _compress(raw, plain, order, (on_true, on_false, roots))


@dataclass
class _Plain:
    """The plain condition of every listed node: its members, else its threshold."""

    threshold: NDArray[np.float32]
    nan_true: NDArray[np.bool_]
    members: dict[int, tuple[float, ...]]


def _plain_conditions(raw: RawTrees) -> _Plain:
    """Rule 1; changes the sides of `raw` where a condition is turned round."""
    mode, split = raw.mode, raw.split.astype(np.float32)
    below = np.nextafter(split, np.float32(-np.inf))
    threshold = np.where((mode == LT) | (mode == GTE), below, split)
    undefined = np.isnan(split)
    # x < -inf holds for no number, x > NaN and the like neither; x != NaN holds for all.
    never = (undefined & (mode != MEMBER)) | (((mode == LT) | (mode == GTE)) & (split == -np.inf))
    turned = ((mode == GT) | (mode == GTE)) & ~undefined | (mode == NEQ)
    nan_true = np.where(turned, ~raw.missing_true, raw.missing_true)
    nan_true[mode == NEQ] = False
    raw.on_true, raw.on_false = (
        np.where(turned, raw.on_false, raw.on_true),
        np.where(turned, raw.on_true, raw.on_false),
    )
    members = dict(raw.members)
    for at in np.flatnonzero((mode == EQ) | (mode == NEQ)):
        members[int(at)] = (float(split[at]) + 0.0,)
    for at in np.flatnonzero(never & (mode != LEAF)):
        members[int(at)] = ()
    threshold = np.asarray(threshold + np.float32(0), np.float32)  # -0.0 becomes 0.0
    threshold[list(members)] = np.nan
    return _Plain(threshold, nan_true, members)


def _merge_chains(raw: RawTrees, plain: _Plain) -> None:
    """Rule 2, from the ends of the chains to their beginnings."""
    if not plain.members:
        return
    alike = _alike(raw, plain)
    for at in sorted(plain.members, key=lambda at: -at):
        follows = int(raw.on_false[at])
        while (
            follows in plain.members
            and raw.feature[follows] == raw.feature[at]
            and alike[raw.on_true[follows]] == alike[raw.on_true[at]]
        ):
            plain.members[at] = tuple(sorted({*plain.members[at], *plain.members[follows]}))
            plain.nan_true[at] |= plain.nan_true[follows]
            raw.on_false[at] = raw.on_false[follows]
            follows = int(raw.on_false[at])


def _alike(raw: RawTrees, plain: _Plain) -> NDArray[np.int64]:
    """A number for each node; nodes with the same number compute the same."""
    weights: dict[int, list[tuple[int, float]]] = {}
    for leaf, target, weight in zip(
        raw.leaf.tolist(), raw.target.tolist(), raw.weight.tolist(), strict=True
    ):
        weights.setdefault(leaf, []).append((target, weight))
    number = np.full(len(raw.mode), -1, np.int64)
    seen: dict[tuple[object, ...], int] = {}
    for at in _children_first(raw):
        if raw.mode[at] == LEAF:
            key: tuple[object, ...] = (*weights.get(at, ()), float(raw.split[at]))
        else:
            condition = plain.members.get(at, float(plain.threshold[at]))
            sides = (int(number[raw.on_true[at]]), int(number[raw.on_false[at]]))
            key = (int(raw.feature[at]), condition, bool(plain.nan_true[at]), *sides)
        number[at] = seen.setdefault(key, len(seen))
    return number


def _refuse_circles(node: Node, raw: RawTrees) -> None:
    """Raises ModelError where a node leads back to itself."""
    inner = raw.mode != LEAF
    leads_to = np.concatenate([raw.on_true[inner], raw.on_false[inner], raw.roots])
    if np.bincount(leads_to).max() <= 1:  # each node has one above it, and a root has none
        return
    done = set()
    above: set[int] = set()
    stack = [(int(root), False) for root in raw.roots]
    while stack:
        at, left = stack.pop()
        if left:
            above.remove(at)
            done.add(at)
        elif at in above:
            raise node.error("its nodes lead in a circle")
        elif at not in done and inner[at]:
            above.add(at)
            stack += [(at, True), (int(raw.on_true[at]), False), (int(raw.on_false[at]), False)]


def _children_first(raw: RawTrees) -> list[int]:
    """All nodes that a root reaches, each behind those that it leads to."""
    order: list[int] = []
    entered = np.zeros(len(raw.mode), np.bool_)
    stack = [(int(root), False) for root in raw.roots]
    while stack:
        at, done = stack.pop()
        if done:
            order.append(at)
        elif not entered[at]:
            entered[at] = True
            stack.append((at, True))
            if raw.mode[at] != LEAF:
                stack += [(int(raw.on_true[at]), False), (int(raw.on_false[at]), False)]
    return order


def _skip_constant(raw: RawTrees, plain: _Plain) -> None:
    """Rule 3: leads past nodes whose condition is known."""
    known = {
        at: False for at, values in plain.members.items() if not values and not plain.nan_true[at]
    }
    always = (plain.threshold == np.inf) & plain.nan_true & (raw.mode != LEAF)
    known |= {int(at): True for at in np.flatnonzero(always)}
    if not known:
        return
    after = np.arange(len(raw.mode))
    for at, holds in known.items():
        after[at] = raw.on_true[at] if holds else raw.on_false[at]
    while (after[after] != after).any():
        after = after[after]
    inner = raw.mode != LEAF
    raw.on_true[inner] = after[raw.on_true[inner]]
    raw.on_false[inner] = after[raw.on_false[inner]]
    raw.roots = after[raw.roots]


def _unfold(
    node: Node, raw: RawTrees
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Rule 4: the nodes level by level, one for each way that leads to it.

    Returns:
        The listed node of each new one, its two sides, and the roots.
    """
    level, first = raw.roots, 0
    origins, sides = [], []
    while True:
        if first + len(level) > MOST_NODES:
            raise node.error(f"its trees have more than {MOST_NODES:,} nodes")
        origins.append(level)
        inner = raw.mode[level] != LEAF
        places = first + len(level) + 2 * (np.cumsum(inner) - 1)
        on_true = np.where(inner, places, LEAF)
        sides.append((on_true, np.where(inner, places + 1, LEAF)))
        first += len(level)
        if not inner.any():
            break
        parents = level[inner]
        level = np.stack([raw.on_true[parents], raw.on_false[parents]], 1).reshape(-1)
    return (
        np.concatenate(origins),
        np.concatenate([side[0] for side in sides]).astype(np.int32),
        np.concatenate([side[1] for side in sides]).astype(np.int32),
        np.arange(len(raw.roots), dtype=np.int32),
    )


def _compress(
    raw: RawTrees,
    plain: _Plain,
    order: NDArray[np.int64],
    links: tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]],
) -> Structure:
    """Gives nodes that ask the same the same condition."""
    inner = np.flatnonzero(raw.mode[order] != LEAF)
    asked = order[inner]
    sets = sorted({plain.members[at] for at in asked.tolist() if at in plain.members})
    of_set = {values: number for number, values in enumerate(sets)}
    set_number = np.full(len(raw.mode), -1, np.int64)
    for at, values in plain.members.items():
        set_number[at] = of_set.get(values, -1)
    bits = plain.threshold.view(np.int32).astype(np.int64)
    table = np.stack([raw.feature, set_number, bits, plain.nan_true.astype(np.int64)], 1)[asked]
    distinct, which = np.unique(table, axis=0, return_inverse=True)
    condition = np.full(len(order), LEAF, np.int32)
    condition[inner] = which.reshape(-1)
    conditions = Conditions(
        distinct[:, 0].astype(np.int32),
        distinct[:, 2].astype(np.int32).view(np.float32),
        distinct[:, 3].astype(np.bool_),
        tuple(sets[number] if number >= 0 else None for number in distinct[:, 1].tolist()),
    )
    return Structure(conditions, condition, *links, order)
