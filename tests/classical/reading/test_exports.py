"""Models as converters write them, against ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest

from snapq.classical.ensemble import Ensemble
from snapq.classical.model import ClassicalModel
from tests.classical import exports
from tests.classical.exports import HEADS, OTHERS, SEVERAL, TREES, Rows
from tests.classical.reference import assert_same, onnxruntime_answers

Make = Callable[[], onnx.ModelProto]


def _check(model: onnx.ModelProto, rows: Rows) -> ClassicalModel:
    """Three ways to compute it give ONNX Runtime's answers: plain forms, steps, and parts."""
    read = ClassicalModel.read(model)
    name = model.graph.input[0].name
    expected = onnxruntime_answers(model, {name: rows})
    assert_same(read.run(rows), expected)
    assert_same(read.program().run({name: rows}), expected)
    parts = read.parts()
    values = parts.head.run({name: rows})
    sums = {e.sums: e.form.sums(values[e.rows]) for e in parts.estimators}
    assert_same(parts.tail.run({**values, **sums}), expected)
    return read


def _thresholds(read: ClassicalModel, rows: Rows) -> Rows:
    """Rows that hold thresholds and their neighbours in float32, NaN, infinities and -0.0."""
    rng = np.random.default_rng(0)
    hard = rows[:64].copy()
    for estimator in read.estimators:
        if not isinstance(estimator.form, Ensemble):
            continue
        conditions = estimator.form.conditions
        chosen = rng.integers(len(conditions), size=2000)
        near = conditions.thresholds[chosen]
        side = rng.integers(3, size=len(chosen))
        near = np.where(side == 1, np.nextafter(near, np.float32(np.inf)), near)
        near = np.where(side == 2, np.nextafter(near, np.float32(-np.inf)), near)
        hard[rng.integers(64, size=len(chosen)), conditions.features[chosen]] = near
    odd = rng.random(hard.shape) < 0.05
    values = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0], np.float32)
    hard[odd] = rng.choice(values, int(odd.sum()))
    return hard


@pytest.mark.parametrize(("data", "make"), TREES.values(), ids=TREES)
def test_trees_answer_like_onnxruntime(data: str, make: Make) -> None:
    model, (rows, _) = make(), exports.data(data)
    read = _check(model, rows)
    assert len(read.estimators) >= 1
    assert all(isinstance(estimator.form, Ensemble) for estimator in read.estimators)
    _check(model, _thresholds(read, rows))


@pytest.mark.parametrize(("data", "make"), SEVERAL.values(), ids=SEVERAL)
def test_every_estimator_of_a_graph_is_found(data: str, make: Make) -> None:
    model, (rows, _) = make(), exports.data(data)
    _check(model, rows)
    kinds = ("TreeEnsemble", "SVM", "Linear")
    count = sum(node.op_type.startswith(kinds) for node in model.graph.node)
    assert len(ClassicalModel.read(model, merged=False).estimators) == count >= 2


@pytest.mark.parametrize(("data", "make"), HEADS.values(), ids=HEADS)
def test_features_are_prepared_like_in_onnxruntime(data: str, make: Make) -> None:
    model, (rows, _) = make(), exports.data(data)
    read = _check(model, rows)
    assert len(read.parts().estimators) == 1


@pytest.mark.parametrize(("data", "make"), OTHERS.values(), ids=OTHERS)
def test_svms_and_linear_models_answer_like_onnxruntime(data: str, make: Make) -> None:
    model, (rows, _) = make(), exports.data(data)
    _check(model, rows)


@pytest.mark.parametrize("encoder", [exports.preprocessing.OneHotEncoder(handle_unknown="ignore")])
def test_categories_that_are_numbers_get_columns(encoder: object) -> None:
    rows = exports.small("wine")
    pipeline = exports.make_pipeline(encoder, exports.stump())
    _check(exports.sklearn(pipeline, "wine", rows=rows), rows)


def test_categories_that_are_numbers_get_codes() -> None:
    rows = exports.small("wine")
    pipeline = exports.make_pipeline(exports.preprocessing.OrdinalEncoder(), exports.stump())
    _check(exports.sklearn(pipeline, "wine", rows=rows), rows)


def test_a_stacked_estimator_that_reads_others_stays_behind_them() -> None:
    read = ClassicalModel.read(SEVERAL["stacking"][1]())
    assert len(read.estimators) == 3
    assert len(read.parts().estimators) == 2


def test_integer_inputs_are_compared_as_floats() -> None:
    _check(exports.integers(), exports.data("cancer")[0].astype(np.int64))


def test_double_inputs_are_rounded_to_the_side_that_keeps_comparisons() -> None:
    model = exports.doubles()
    rows = exports.data("cancer")[0].astype(np.float64)
    read = _check(model, rows)
    thresholds = next(iter(read.estimators)).form.conditions
    above = np.nextafter(thresholds.thresholds.astype(np.float64), np.inf)
    hard = rows[:64].copy()
    hard[np.arange(len(above)) % 64, thresholds.features] = above
    _check(model, hard)


def test_chains_of_categories_become_sets() -> None:
    model, rows = exports.categories()
    read = _check(model, rows[:500])
    form = read.estimators[0].form
    assert isinstance(form, Ensemble)
    sets = [members for members in form.conditions.members if members is not None]
    assert max(map(len, sets)) >= 3
    modes = next(a for a in model.graph.node[0].attribute if a.name == "nodes_modes").strings
    assert len(form.condition) < len(modes)


@pytest.mark.parametrize("missing", [False, True])
def test_missing_values_of_histogram_boosting_take_both_sides(missing: bool) -> None:
    model, rows = exports.histogram("cancer", missing)
    read = _check(model, rows)
    form = read.estimators[0].form
    assert isinstance(form, Ensemble)
    _check(model, _thresholds(read, rows))
    if missing:
        sides = {}
        for feature, side in zip(form.conditions.features, form.conditions.nan_true, strict=True):
            sides.setdefault(int(feature), set()).add(bool(side))
        assert any(len(both) == 2 for both in sides.values())


def test_only_what_wanted_outputs_need_is_read() -> None:
    model = OTHERS["SVC, linear"][1]()
    whole = ClassicalModel.read(model)
    labels = ClassicalModel.read(model, outputs=(whole.outputs[0],))
    assert len(labels.items) <= len(whole.items) / 2
