"""Cost-complexity pruning of trees: subtrees become leaves where that changes little.

The cost of a leaf in the place of a subtree is what Breiman et al. (1984) take for regression
trees: the squared differences between the tree's own answers to some rows and the leaf's mean of
them. For a price `alpha` of a leaf the cheapest tree is found exactly, from its leaves upwards.
One price holds for all trees, in units of how much the ensemble's sums vary; the largest price is
taken at which held-out data loses no more than is allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from snapq.classical.ensemble import Conditions, Ensemble
from snapq.classical.estimator import Estimator
from snapq.classical.model import ClassicalModel
from snapq.classical.writing.lists import replace_trees
from snapq.errors import ModelError

_UNSEEN = 1e-3
"""How many rows a leaf counts as that no row reaches: it has a say where no other leaf has."""
_LOWEST, _HIGHEST, _TRIALS = -9.0, 1.0, 10
"""Decimal logarithms of the prices that are tried, and how many."""
_ONE_WEIGHT = "TreeEnsemble"
"""Of ai.onnx.ml 5, whose leaves add to one target each."""
_NODES = ("TreeEnsembleClassifier", "TreeEnsembleRegressor", _ONE_WEIGHT)


@dataclass(frozen=True)
class TreeFigures:
    """How large a model of trees is, and how good.

    Attributes:
        score: on held-out data; larger is better.
        nodes: of all trees, leaves among them.
        bytes: of the ONNX model.
    """

    score: float
    nodes: int
    bytes: int


@dataclass(frozen=True)
class PrunedTrees:
    """A model whose trees were pruned.

    Attributes:
        model: it, with the operators that it had.
        price: of a leaf (alpha), in units of how much the ensemble's sums vary; 0 where pruning
            anything lost too much.
        before: its figures as it was.
        after: its figures now.
    """

    model: onnx.ModelProto
    price: float
    before: TreeFigures
    after: TreeFigures


def prune_trees(
    model: onnx.ModelProto,
    feeds: Mapping[str, NDArray[Any]],
    score: Callable[[ClassicalModel], float],
    most_loss: float,
) -> PrunedTrees:
    """Prunes the trees of a model as far as held-out data allows.

    Args:
        model: of ai.onnx.ml; it stays as it is.
        feeds: rows that say how often each leaf is reached, an array for each input.
        score: judges a model on held-out data; larger is better.
        most_loss: how much of the score may be lost.

    Raises:
        ModelError: it cannot be read, or holds no trees that can be pruned.
    """
    read = ClassicalModel.read(model, merged=False)
    names = [node.name for node in model.graph.node if node.op_type in _NODES]
    one_weight = {node.name for node in model.graph.node if node.op_type == _ONE_WEIGHT}
    costs = {
        estimator.sums: _Costs.of(
            estimator.form, rows, one_target=estimator.form.name in one_weight
        )
        for estimator, rows in _rows(read, feeds)
        if isinstance(estimator.form, Ensemble) and estimator.form.name in names
    }
    if not costs:
        raise ModelError(
            "The model holds no trees that can be pruned.",
            hint=f"{', '.join(_NODES)} can.",
        )
    if len(set(names)) != len(names):
        raise ModelError("Two of its nodes with trees have the same name, so neither is pruned.")
    whole = score(read)
    best, price = read, 0.0
    low, high = _LOWEST, _HIGHEST
    for _ in range(_TRIALS):
        middle = (low + high) / 2
        tried = _pruned(read, costs, 10.0**middle)
        if score(tried) >= whole - most_loss:
            best, price, low = tried, 10.0**middle, middle
        else:
            high = middle
    written = _written(model, best, costs) if price else model
    before = TreeFigures(whole, _nodes(read), model.ByteSize())
    return PrunedTrees(
        written, price, before, TreeFigures(score(best), _nodes(best), written.ByteSize())
    )


def _rows(
    read: ClassicalModel, feeds: Mapping[str, NDArray[Any]]
) -> list[tuple[Estimator, NDArray[np.float32]]]:
    """What each estimator is given for some rows of the model."""
    values = read.values(feeds)
    return [(estimator, values[estimator.rows]) for estimator in read.estimators]


def _pruned(read: ClassicalModel, costs: Mapping[str, _Costs], price: float) -> ClassicalModel:
    """The model with the cheapest trees for a price."""
    items = tuple(
        replace(item, form=costs[item.sums].cheapest(price))
        if isinstance(item, Estimator) and item.sums in costs
        else item
        for item in read.items
    )
    return replace(read, items=items)


def _written(
    model: onnx.ModelProto, pruned: ClassicalModel, costs: Mapping[str, _Costs]
) -> onnx.ModelProto:
    """The model with pruned trees in its nodes."""
    written = onnx.ModelProto()
    written.CopyFrom(model)
    nodes = {node.name: node for node in written.graph.node if node.op_type in _NODES}
    for estimator in pruned.estimators:
        if estimator.sums in costs and isinstance(estimator.form, Ensemble):
            replace_trees(nodes[estimator.form.name], estimator.form)
    return written


def _nodes(read: ClassicalModel) -> int:
    forms = [estimator.form for estimator in read.estimators]
    return sum(len(form.condition) for form in forms if isinstance(form, Ensemble))


@dataclass(frozen=True)
class _Costs:
    """What it costs to make a leaf of each node of an ensemble.

    Attributes:
        form: the ensemble.
        order: its nodes, each behind both of its sides.
        means: float64 [nodes, targets], what the node answers on average.
        costs: float64 [nodes], squared differences from that, a row, in units of how much the
            ensemble's sums vary.
    """

    form: Ensemble
    order: NDArray[np.int64]
    means: NDArray[np.float64]
    costs: NDArray[np.float64]

    @classmethod
    def of(cls, form: Ensemble, rows: NDArray[np.float32], *, one_target: bool) -> _Costs:
        """Counts how often rows reach each leaf.

        With `one_target` no leaf is made of others that add to several targets.
        """
        reached = form.leaf_of(rows)
        count = np.bincount(reached.reshape(-1), minlength=len(form.condition)) + _UNSEEN
        inner = form.condition >= 0
        count[inner] = 0
        total = form.values * count[:, None]
        squares = (form.values * total).sum(1)
        order = _sides_first(form)
        for node in order[inner[order]]:
            sides = [form.on_true[node], form.on_false[node]]
            count[node] = count[sides].sum()
            total[node] = total[sides].sum(0)
            squares[node] = squares[sides].sum()
        means = total / count[:, None]
        spread = float(form.sums(rows).var(0).sum()) or 1.0
        costs = np.maximum(squares - (means * total).sum(1), 0) / max(1, len(rows)) / spread
        if one_target:
            costs[(means != 0).sum(1) > 1] = np.inf
        return cls(form, order, means, costs)

    def cheapest(self, price: float) -> Ensemble:
        """The trees that cost least where each leaf costs a price besides."""
        form = self.form
        whole = self.costs + price
        cheapest = whole.copy()
        kept = np.zeros(len(whole), np.bool_)
        for node in self.order[form.condition[self.order] >= 0]:
            sides = cheapest[form.on_true[node]] + cheapest[form.on_false[node]]
            if sides < whole[node]:
                cheapest[node] = sides
                kept[node] = True
        return _cut(form, kept, self.means)


def _sides_first(form: Ensemble) -> NDArray[np.int64]:
    """The nodes of all trees, each behind both of its sides."""
    levels = [form.roots.astype(np.int64)]
    while True:
        inner = levels[-1][form.condition[levels[-1]] >= 0]
        if not len(inner):
            return np.concatenate(levels[::-1])
        sides = np.concatenate([form.on_true[inner], form.on_false[inner]])
        levels.append(sides.astype(np.int64))


def _cut(form: Ensemble, kept: NDArray[np.bool_], means: NDArray[np.float64]) -> Ensemble:
    """An ensemble whose inner nodes are those that are kept."""
    alive = np.zeros(len(kept), np.bool_)
    level = form.roots.astype(np.int64)
    while len(level):
        alive[level] = True
        level = level[kept[level]]
        level = np.concatenate([form.on_true[level], form.on_false[level]]).astype(np.int64)
    nodes = np.flatnonzero(alive)
    place = np.full(len(kept), -1, np.int32)
    place[nodes] = np.arange(len(nodes))
    inner = kept[nodes]
    used, which = np.unique(form.condition[nodes][inner], return_inverse=True)
    condition = np.full(len(nodes), -1, np.int32)
    condition[inner] = which.reshape(-1)
    values = means[nodes].astype(np.float32).astype(np.float64)
    values[inner] = 0
    leaf = form.condition[nodes] < 0
    values[leaf] = form.values[nodes][leaf]
    all_conditions = form.conditions
    return replace(
        form,
        conditions=Conditions(
            all_conditions.features[used],
            all_conditions.thresholds[used],
            all_conditions.nan_true[used],
            tuple(all_conditions.members[index] for index in used.tolist()),
        ),
        condition=condition,
        on_true=np.where(inner, place[form.on_true[nodes]], -1).astype(np.int32),
        on_false=np.where(inner, place[form.on_false[nodes]], -1).astype(np.int32),
        values=values,
        roots=place[form.roots],
    )
