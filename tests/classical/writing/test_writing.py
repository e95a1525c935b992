"""Steps and estimators as ONNX models, run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snapq.classical.ensemble import Ensemble
from snapq.classical.model import ClassicalModel
from snapq.classical.program import Program, Step
from snapq.classical.rewrite import rewrite_for_cpu
from snapq.classical.writing import program_to_onnx
from snapq.errors import ModelError
from tests.classical import exports
from tests.classical.exports import HEADS, OTHERS, SEVERAL, TREES, ensemble, sklearn
from tests.classical.random_trees import NASTY, Kind, classifier, hard_rows, random_lists, regressor
from tests.classical.reference import assert_same, onnxruntime_answers

Make = Callable[[], onnx.ModelProto]
ALL = TREES | SEVERAL | HEADS | OTHERS


def _compare_rewritten(model: onnx.ModelProto, rows: Any) -> onnx.ModelProto:
    name = model.graph.input[0].name
    read = ClassicalModel.read(model)
    written = rewrite_for_cpu(read)
    onnx.checker.check_model(written)
    found = onnxruntime_answers(written, {name: rows})
    expected = onnxruntime_answers(model, {name: rows})
    assert_same(dict(zip(read.outputs, found, strict=True)), expected)
    if not any(node.op_type in ("If", "Loop") for node in written.graph.node):  # those of SVMs
        assert_same(ClassicalModel.read(written).run(rows), expected)
    return written


@pytest.mark.parametrize(("data", "make"), ALL.values(), ids=ALL)
def test_a_rewritten_model_gives_the_same_answers(data: str, make: Make) -> None:
    written = _compare_rewritten(make(), exports.data(data)[0])
    for node in written.graph.node:
        if "Classifier" in node.op_type:  # it couples probabilities of pairs
            assert {a.name: a.s for a in node.attribute}["kernel_type"] == b"LINEAR"


@pytest.mark.parametrize(
    ("data", "make"),
    [
        (
            "cancer",
            lambda: exports.boosted(exports.xgb("XGBClassifier", n_estimators=60), "cancer"),
        ),
        ("digits", lambda: sklearn(exports.forest(30), "digits", convert=exports.PLAIN)),
        ("diabetes", lambda: sklearn(ensemble.RandomForestRegressor(30), "diabetes")),
        ("diabetes", lambda: sklearn(ensemble.RandomForestRegressor(30), "diabetes", exports.both)),
        ("wide", lambda: exports.boosted(exports.lgbm("LGBMClassifier", n_estimators=30), "wide")),
    ],
    ids=["XGBoost", "classes", "numbers", "two numbers", "LightGBM"],
)
def test_a_rewritten_ensemble_has_two_fifths_of_the_bytes(data: str, make: Make) -> None:
    model = make()
    written = _compare_rewritten(model, exports.data(data)[0])
    assert written.ByteSize() <= 0.4 * model.ByteSize()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 4), st.booleans(), st.booleans())
def test_rewritten_random_trees_keep_every_side(
    seed: int, depth: int, several: bool, labels: bool
) -> None:
    rng = np.random.default_rng(seed)
    kind = Kind(depth=depth, ids=(0, 1, 2) if several else (0,))
    lists = random_lists(rng, 3, kind)
    if labels:
        model = classifier(lists, [5, 6, 7] if several else [5, 6], kind.features)
    else:
        model = regressor(lists, len(kind.ids), kind.features)
    _compare_rewritten(model, hard_rows(rng, kind.features, NASTY))


def test_sets_of_categories_stay_sets() -> None:
    model, rows = exports.categories()
    _compare_rewritten(model, rows[:500])


@pytest.mark.parametrize("name", ["stacking", "AdaBoost, 3 classes", "bagging of features"])
def test_head_and_tail_run_without_python(name: str) -> None:
    data, make = SEVERAL[name]
    model, rows = make(), exports.data(data)[0]
    read = ClassicalModel.read(model)
    parts = read.parts()
    given = {read.inputs[0].name: rows}
    head = program_to_onnx(parts.head, given)
    values = dict(zip(parts.head.outputs, onnxruntime_answers(head, given), strict=True))
    values |= {e.sums: e.form.sums(values[e.rows]) for e in parts.estimators}
    behind = {name: values[name] for name in parts.tail.inputs}
    answers = onnxruntime_answers(program_to_onnx(parts.tail, behind), behind)
    assert_same(dict(zip(read.outputs, answers, strict=True)), onnxruntime_answers(model, given))


def test_a_step_without_a_form_in_onnx_is_named() -> None:
    program = Program(("x",), ("y",), (Step("of a newer version", ("x",), ("y",)),))
    with pytest.raises(ModelError, match="'of a newer version' has no form in ONNX"):
        program_to_onnx(program, {"x": np.zeros((2, 2))})


def test_trees_of_one_leaf_are_added_up_beforehand() -> None:
    model = exports.boosted(exports.xgb("XGBClassifier", n_estimators=30), "wine")
    read = ClassicalModel.read(model)
    form = read.estimators[0].form
    assert isinstance(form, Ensemble)
    single = int((form.condition[form.roots] < 0).sum())
    assert single > 5
    written = _compare_rewritten(model, exports.data("wine")[0])
    node = next(node for node in written.graph.node if node.op_type == "TreeEnsemble")
    roots = next(attribute for attribute in node.attribute if attribute.name == "tree_roots")
    assert len(roots.ints) == len(form.roots) - single
