"""All ensembles of a model as one list of leaves: what must hold on the way, what each one adds.

The NPU does not walk down trees. It finds out which conditions hold, then which leaves have all of
theirs, then adds up what these give; so a leaf needs no more than the tightest condition of each
column on its way, and one that adds nothing is not needed at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from snapq.classical.ensemble import Ensemble
from snapq.classical.estimator import Estimator

Target = tuple[int, int]
"""Index of an ensemble, and of a target of it."""


@dataclass(frozen=True)
class Column:
    """What the host is to encode: one feature of one estimator's rows, NaN on one side.

    Attributes:
        rows: name of the value [N, F] that is read.
        feature: column of it.
        nan_true: whether NaN counts as below every threshold; else above.
        members: None for thresholds; else the values that are told from all others.
    """

    rows: str
    feature: int
    nan_true: bool
    members: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Condition:
    """`column <= threshold`, or whether the column's value is one of its members.

    Attributes:
        column: index into the forest's columns.
        threshold: float32; 0 where members decide.
    """

    column: int
    threshold: float = 0.0


@dataclass(frozen=True)
class Leaf:
    """A leaf that adds something.

    Attributes:
        node: its index among the nodes of its ensemble.
        true: conditions that hold on the way to it, ascending.
        false: conditions that do not hold, ascending.
        adds: float64 [targets of its ensemble], what it adds to the offset of its tree; none below
            0, and not all of them 0.
    """

    node: int
    true: tuple[int, ...]
    false: tuple[int, ...]
    adds: NDArray[np.float64]

    @property
    def conditions(self) -> tuple[int, ...]:
        """All conditions on the way."""
        return self.true + self.false


@dataclass(frozen=True)
class Tree:
    """A tree of an ensemble.

    Attributes:
        ensemble: index of its ensemble.
        leaves: those that add something, from left to right.
        offset: float64 [targets of its ensemble], the least that any leaf adds to each target.
    """

    ensemble: int
    leaves: tuple[Leaf, ...]
    offset: NDArray[np.float64]

    @cached_property
    def targets(self) -> tuple[Target, ...]:
        """The targets that it adds to beside its offset."""
        touched = {int(t) for leaf in self.leaves for t in np.flatnonzero(leaf.adds)}
        return tuple((self.ensemble, target) for target in sorted(touched))


@dataclass(frozen=True)
class Forest:
    """The trees of all ensembles.

    Attributes:
        estimators: whose plain forms are ensembles.
        columns: what the conditions read.
        conditions: the distinct ones of all ensembles.
        trees: in the order of their ensembles.
    """

    estimators: tuple[Estimator, ...]
    columns: tuple[Column, ...]
    conditions: tuple[Condition, ...]
    trees: tuple[Tree, ...]

    @property
    def ensembles(self) -> tuple[Ensemble, ...]:
        """The plain forms."""
        return tuple(_ensemble(estimator) for estimator in self.estimators)

    @property
    def leaves(self) -> int:
        """How many leaves add something."""
        return sum(len(tree.leaves) for tree in self.trees)

    @property
    def longest_way(self) -> int:
        """The most conditions that any leaf needs."""
        return max((len(leaf.conditions) for tree in self.trees for leaf in tree.leaves), default=0)

    @cached_property
    def order(self) -> tuple[int, ...]:
        """Trees that have leaves, each next to the one that asks most of what it asks."""
        asked = [{c for leaf in tree.leaves for c in leaf.conditions} for tree in self.trees]
        asking: dict[int, list[int]] = {}
        for tree, conditions in enumerate(asked):
            for condition in conditions:
                asking.setdefault(condition, []).append(tree)
        left = {tree for tree, conditions in enumerate(asked) if conditions}
        order: list[int] = []
        while left:
            last = asked[order[-1]] if order else ()
            shared = Counter(t for c in last for t in asking[c] if t in left)
            tree = min(shared, key=lambda t: (-shared[t], t)) if shared else min(left)
            order.append(tree)
            left.remove(tree)
        return tuple(order)


def gather(estimators: Sequence[Estimator]) -> Forest:
    """Brings the ensembles of several estimators together; equal conditions become one.

    Args:
        estimators: with an `Ensemble` each.
    """
    gathering = _Gathering()
    trees: list[Tree] = []
    for index, estimator in enumerate(estimators):
        form = _ensemble(estimator)
        known = gathering.enter(estimator.rows, form)
        conditions = list(gathering.conditions)
        trees += [_tree(index, form, int(root), known, conditions) for root in form.roots]
    return Forest(
        tuple(estimators), tuple(gathering.columns), tuple(gathering.conditions), tuple(trees)
    )


class _Gathering:
    """Columns and conditions, each entered once."""

    def __init__(self) -> None:
        self.columns: dict[Column, int] = {}
        self.conditions: dict[Condition, int] = {}

    def enter(self, rows: str, form: Ensemble) -> list[int]:
        """Enters the conditions of an ensemble; returns the index of each."""
        asked = form.conditions
        found = []
        for feature, threshold, nan_true, members in zip(
            asked.features.tolist(),
            (asked.thresholds + np.float32(0)).tolist(),  # -0.0 becomes 0.0
            asked.nan_true.tolist(),
            asked.members,
            strict=True,
        ):
            if members is None and np.isnan(threshold):
                members = ()  # no number is below NaN
            column = Column(rows, feature, nan_true, members)
            at = self.columns.setdefault(column, len(self.columns))
            condition = Condition(at, threshold if members is None else 0.0)
            found.append(self.conditions.setdefault(condition, len(self.conditions)))
        return found


def _ensemble(estimator: Estimator) -> Ensemble:
    if not isinstance(estimator.form, Ensemble):
        raise TypeError(f"{estimator.sums} is not made by trees")
    return estimator.form


def _tree(
    index: int, form: Ensemble, root: int, known: list[int], conditions: list[Condition]
) -> Tree:
    ways = list(_ways(form, root, known, conditions))
    values = form.values[[node for node, _, _ in ways]]
    offset = values.min(axis=0)
    leaves = tuple(
        Leaf(node, true, false, adds)
        for (node, true, false), adds in zip(ways, values - offset, strict=True)
        if adds.any()
    )
    return Tree(index, leaves, offset)


_Bounds = dict[int, int]
"""The tightest condition of each column on one side."""


def _ways(
    form: Ensemble, root: int, known: list[int], conditions: list[Condition]
) -> Iterator[tuple[int, tuple[int, ...], tuple[int, ...]]]:
    """Every leaf that some row reaches, from left to right, with what must hold on the way."""
    waiting: list[tuple[int, _Bounds, _Bounds]] = [(root, {}, {})]
    while waiting:
        node, upper, lower = waiting.pop()
        if form.condition[node] < 0:
            yield node, tuple(sorted(upper.values())), tuple(sorted(lower.values()))
            continue
        asked = known[form.condition[node]]
        column, threshold = conditions[asked].column, conditions[asked].threshold
        least = conditions[upper[column]].threshold if column in upper else np.inf
        most = conditions[lower[column]].threshold if column in lower else -np.inf
        always = column in upper and threshold >= least
        never = column in lower and threshold <= most
        if not always:
            waiting.append((int(form.on_false[node]), upper, _with(lower, column, asked, never)))
        if not never:
            waiting.append((int(form.on_true[node]), _with(upper, column, asked, always), lower))


def _with(bounds: _Bounds, column: int, asked: int, implied: bool) -> _Bounds:
    return bounds if implied else bounds | {column: asked}
