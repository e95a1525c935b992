"""Trees that become smaller where held-out data allows it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from snapq.classical.ensemble import Ensemble
from snapq.classical.model import ClassicalModel
from snapq.classical.pruning import prune_trees
from snapq.classical.rewrite import rewrite_for_cpu
from snapq.errors import ModelError
from tests.classical import exports
from tests.classical.exports import OTHERS, PLAIN, SEED, ensemble, forest, sklearn
from tests.classical.random_trees import Kind, random_lists, regressor
from tests.classical.reference import assert_same, onnxruntime_answers


def newest(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with TreeEnsemble of ai.onnx.ml 5."""
    written = rewrite_for_cpu(ClassicalModel.read(model))
    (node,) = [node for node in written.graph.node if node.op_type == "TreeEnsemble"]
    node.name = "trees"
    return written


def _accuracy(rows: Any, labels: Any) -> Callable[[ClassicalModel], float]:
    def score(model: ClassicalModel) -> float:
        answers = next(iter(model.run(rows).values()))
        if answers.dtype.kind == "f":
            return 1 - float(np.mean((answers[:, 0] - labels) ** 2) / np.var(labels))
        return float(np.mean(answers == labels))

    return score


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("digits", lambda: sklearn(forest(20), "digits", convert=PLAIN)),
        ("diabetes", lambda: sklearn(ensemble.RandomForestRegressor(20, **SEED), "diabetes")),
        (
            "wine",
            lambda: exports.boosted(exports.xgb("XGBClassifier", n_estimators=9), "wine"),
        ),
        ("wide", lambda: exports.boosted(exports.lgbm("LGBMClassifier", n_estimators=9), "wide")),
        ("wine", lambda: sklearn(ensemble.BaggingClassifier(n_estimators=6, **SEED), "wine")),
        (
            "diabetes",
            lambda: newest(sklearn(ensemble.RandomForestRegressor(20, **SEED), "diabetes")),
        ),
        (
            "wine",
            lambda: newest(exports.boosted(exports.xgb("XGBClassifier", n_estimators=9), "wine")),
        ),
    ],
    ids=[
        *("forest", "numbers", "XGBoost", "LightGBM", "bagging"),
        *("numbers of opset 5", "classes of opset 5"),
    ],
)
def test_pruned_trees_are_smaller_and_lose_no_more_than_allowed(
    name: str, make: Callable[[], onnx.ModelProto]
) -> None:
    model, (rows, labels) = make(), exports.data(name)
    given = model.graph.input[0].name
    score = _accuracy(rows, labels)
    pruned = prune_trees(model, {given: rows}, score, 0.05)
    assert pruned.after.nodes < 0.7 * pruned.before.nodes
    assert pruned.after.bytes < 0.7 * pruned.before.bytes
    assert pruned.after.score >= pruned.before.score - 0.05
    read = ClassicalModel.read(pruned.model)
    assert score(read) == pytest.approx(pruned.after.score)
    assert_same(read.run(rows), onnxruntime_answers(pruned.model, {given: rows}))


def test_trees_that_may_lose_nothing_stay_as_they_are() -> None:
    model = sklearn(ensemble.RandomForestRegressor(3, **SEED), "diabetes")
    rows = exports.data("diabetes")[0]
    own = ClassicalModel.read(model).run(rows)["variable"]

    def unchanged(read: ClassicalModel) -> float:
        return -float(np.abs(read.run(rows)["variable"] - own).max())

    pruned = prune_trees(model, {"X": rows}, unchanged, 0.0)
    np.testing.assert_allclose(ClassicalModel.read(pruned.model).run(rows)["variable"], own)


def test_sets_of_categories_survive_pruning() -> None:
    model, rows = exports.categories()
    own = ClassicalModel.read(model).run(rows)
    labels = next(iter(own.values()))
    pruned = prune_trees(model, {"x": rows}, _accuracy(rows, labels), 0.02)
    assert pruned.after.nodes < pruned.before.nodes
    read = ClassicalModel.read(pruned.model)
    assert_same(read.run(rows), onnxruntime_answers(pruned.model, {"x": rows}))


def test_the_cheapest_tree_is_found() -> None:
    rng = np.random.default_rng(7)
    kind = Kind(depth=4, thresholds=(-1.0, 0.0, 1.0), modes=("BRANCH_LEQ",))
    lists = random_lists(rng, 1, kind)
    model = regressor(lists, 1, 3)
    model.graph.node[0].name = "tree"
    rows = rng.normal(size=(200, 3)).astype(np.float32)
    form = ClassicalModel.read(model).estimators[0].form
    assert isinstance(form, Ensemble)
    sums = form.sums(rows)
    spread = sums.var()

    def loss(read: ClassicalModel) -> float:
        found = read.estimators[0].form
        assert isinstance(found, Ensemble)
        return float(((found.sums(rows) - sums) ** 2).mean() / spread)

    pruned = prune_trees(model, {"x": rows}, lambda read: -loss(read), 0.3)
    read = ClassicalModel.read(pruned.model)
    leaves = (read.estimators[0].form.condition < 0).sum()  # type: ignore[union-attr]
    cost = loss(read) + pruned.price * leaves
    ways = _prunings(form)
    assert len(ways) > 20
    for kept in ways:
        other = _loss_of(form, kept, rows) / spread + pruned.price * len(kept)
        assert cost <= other + 1e-4


def _prunings(form: Ensemble) -> list[tuple[int, ...]]:
    """The nodes that are leaves, for every way to prune the only tree."""

    def below(node: int) -> list[tuple[int, ...]]:
        if form.condition[node] < 0:
            return [(node,)]
        sides = below(int(form.on_true[node])), below(int(form.on_false[node]))
        return [(node,), *((*a, *b) for a, b in product(*sides))]

    return below(int(form.roots[0]))


def _loss_of(form: Ensemble, leaves: tuple[int, ...], rows: NDArray[np.float32]) -> float:
    """Mean of the squares by which rows miss the mean of the leaf that they end in."""
    reached = form.leaf_of(rows)[:, 0]
    total = 0.0
    for leaf in leaves:
        nodes, front = {leaf}, [leaf]
        while front:
            node = front.pop()
            if form.condition[node] >= 0:
                sides = [int(form.on_true[node]), int(form.on_false[node])]
                nodes.update(sides)
                front += sides
        values = form.values[reached[np.isin(reached, list(nodes))], 0]
        total += float(((values - values.mean()) ** 2).sum()) if len(values) else 0.0
    return total / len(rows)


def test_models_without_trees_are_refused() -> None:
    model = OTHERS["SVR"][1]()
    rows = exports.data("diabetes")[0]
    with pytest.raises(ModelError, match="no trees that can be pruned"):
        prune_trees(model, {model.graph.input[0].name: rows}, lambda _: 0.0, 0.1)
