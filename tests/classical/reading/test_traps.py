"""What converters and ONNX Runtime do that nobody would guess, and what is refused by name."""

from __future__ import annotations

import functools
from contextlib import suppress
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from snapq.classical.ensemble import Ensemble
from snapq.classical.model import ClassicalModel, is_classical
from snapq.classical.rewrite import rewrite_for_cpu
from snapq.errors import DataError, ModelError, SnapqError
from tests.classical import exports
from tests.classical.random_trees import Kind, Lists, classifier, model_of, random_lists, regressor
from tests.classical.reference import assert_same, onnxruntime_answers

NAN = float("nan")


def _tree(*nodes: tuple[str, int, float, int, int, int], weights: Any = ()) -> Lists:
    """One tree: mode, feature, threshold, true side, false side, side of NaN of each node."""
    lists = Lists()
    for number, (mode, feature, value, on_true, on_false, missing) in enumerate(nodes):
        row = (0, number, feature, value, mode, on_true, on_false, missing)
        for values, item in zip(lists.nodes.values(), row, strict=True):
            values.append(item)
    for entry in weights:
        for values, item in zip(lists.weights.values(), (0, *entry), strict=True):
            values.append(item)
    return lists


LEAF = ("LEAF", 0, 0.0, 0, 0, 0)
STUMP = (("BRANCH_LEQ", 0, 0.5, 1, 2, 0), LEAF, LEAF)
HALVES = [(1, 0, 1.0), (2, 0, 2.0)]


def _ensemble(**attributes: Any) -> onnx.ModelProto:
    """A TreeEnsemble of ai.onnx.ml 5 with one condition, two leaves and what is given."""
    whole: dict[str, Any] = {
        "n_targets": 1,
        "tree_roots": [0],
        "nodes_modes": [0],
        "nodes_featureids": [0],
        "nodes_splits": [0.5],
        "nodes_truenodeids": [0],
        "nodes_trueleafs": [1],
        "nodes_falsenodeids": [1],
        "nodes_falseleafs": [1],
        "leaf_targetids": [0, 0],
        "leaf_weights": [1.0, 2.0],
        **attributes,
    }
    for name in ("nodes_modes", "nodes_splits", "leaf_weights", "membership_values"):
        if name in whole:
            kind = TensorProto.UINT8 if name == "nodes_modes" else TensorProto.FLOAT
            whole[name] = helper.make_tensor(name, kind, [len(whole[name])], whole[name])
    node = helper.make_node("TreeEnsemble", ["x"], ["y"], domain="ai.onnx.ml", **whole)
    return model_of(node, 1, {"y": TensorProto.FLOAT}, version=5)


def _same(model: onnx.ModelProto, rows: Any) -> ClassicalModel:
    read = ClassicalModel.read(model)
    assert_same(read.run(rows), onnxruntime_answers(model, {"x": rows}))
    return read


@pytest.mark.parametrize("mode", range(6))
@pytest.mark.parametrize("missing", [0, 1])
def test_every_condition_of_the_newest_operator_is_read(mode: int, missing: int) -> None:
    model = _ensemble(nodes_modes=[mode], nodes_missing_value_tracks_true=[missing])
    _same(model, np.array([[0.5], [0.4], [0.6], [NAN], [-0.0]], np.float32))


def test_sets_are_read_with_nan_between_them() -> None:
    model = _ensemble(
        nodes_modes=[6, 6],
        nodes_featureids=[0, 0],
        nodes_splits=[0.0, 0.0],
        nodes_truenodeids=[0, 2],
        nodes_trueleafs=[1, 1],
        nodes_falsenodeids=[1, 1],
        nodes_falseleafs=[0, 1],
        leaf_targetids=[0, 0, 0],
        leaf_weights=[1.0, 2.0, 3.0],
        membership_values=[2.0, 4.0, NAN, 3.0, 7.0, NAN],
    )
    read = _same(model, np.array([[2], [3], [4], [5], [7], [2.5], [NAN]], np.float32))
    form = read.estimators[0].form
    assert isinstance(form, Ensemble)
    assert set(form.conditions.members) == {(2.0, 4.0), (3.0, 7.0)}


def test_leaves_that_two_nodes_share_are_read() -> None:
    model = _ensemble(
        nodes_modes=[0, 0],
        nodes_featureids=[0, 0],
        nodes_splits=[0.0, 1.0],
        nodes_truenodeids=[0, 1],
        nodes_trueleafs=[1, 1],
        nodes_falsenodeids=[1, 0],
        nodes_falseleafs=[0, 1],
    )
    _same(model, np.array([[-1], [0.5], [2]], np.float32))


def test_exchanged_post_transforms_are_refused() -> None:
    for post in (1, 2):
        with pytest.raises(ModelError, match="exchanged in ONNX Runtime"):
            ClassicalModel.read(_ensemble(post_transform=post))


def test_one_weight_a_leaf_counts_where_there_is_one_target() -> None:
    lists = _tree(*STUMP, weights=[*HALVES, (1, 0, 5.0), (0, 0, 9.0)])
    read = _same(regressor(lists, 1, 1), np.array([[0], [1]], np.float32))
    assert read.run(np.zeros((1, 1), np.float32))["y"] == 1.0


def test_a_condition_that_no_number_meets_is_left_out() -> None:
    nodes = (("BRANCH_LT", 0, float("-inf"), 1, 2, 0), LEAF, LEAF)
    read = _same(
        regressor(_tree(*nodes, weights=HALVES), 1, 1),
        np.array([[0], [NAN], [-np.inf]], np.float32),
    )
    form = read.estimators[0].form
    assert isinstance(form, Ensemble)
    assert len(form.condition) == 1


def test_nan_alone_can_be_asked_for() -> None:
    nodes = (("BRANCH_LT", 0, float("-inf"), 1, 2, 1), LEAF, LEAF)
    _same(
        regressor(_tree(*nodes, weights=HALVES), 1, 1),
        np.array([[0], [NAN], [-np.inf]], np.float32),
    )


def test_the_same_question_is_asked_once() -> None:
    rng = np.random.default_rng(0)
    kind = Kind(features=2, depth=5, thresholds=(0.0, -0.0, 1.0), modes=("BRANCH_LEQ",))
    read = ClassicalModel.read(regressor(random_lists(rng, 20, kind), 1, 2))
    form = read.estimators[0].form
    assert isinstance(form, Ensemble)
    assert len(form.conditions) <= 8  # 2 features, thresholds 0 and 1, 2 sides of NaN
    assert (form.condition >= 0).sum() > 100


def test_a_domain_listed_twice_or_not_at_all_is_no_trouble() -> None:
    rows = exports.data("wine")[0]
    model = exports.sklearn(exports.make_pipeline(exports.PCA(3), exports.stump()), "wine")
    model.opset_import.append(helper.make_opsetid("", 13))
    assert_same(ClassicalModel.read(model).run(rows), onnxruntime_answers(model, {"X": rows}))
    boosted, (rows, _) = exports.TREES["LightGBM"][1](), exports.data("cancer")
    bare = [opset for opset in boosted.opset_import if opset.domain]
    del boosted.opset_import[:]
    boosted.opset_import.extend(bare)
    assert ClassicalModel.read(boosted).run(rows)


def test_a_table_of_names_becomes_a_matrix() -> None:
    read = ClassicalModel.read(exports.TREES["forest with text"][1]())
    answers = read.run(exports.data("wine")[0])
    assert [values.shape for values in answers.values()] == [(178,), (178, 3)]
    assert "columns are the classes a, b, c" in read.notes[0]


def test_a_binarizer_has_no_answer_to_nan() -> None:
    read = ClassicalModel.read(exports.HEADS["Binarizer"][1]())
    rows = np.full((1, 13), np.nan, np.float32)
    with pytest.raises(DataError, match="no answer to NaN"):
        read.run(rows)


def test_models_without_operators_of_the_domain_are_not_classical() -> None:
    assert is_classical(exports.TREES["forest"][1]())
    node = helper.make_node("Identity", ["x"], ["y"])
    assert not is_classical(model_of(node, 1, {"y": TensorProto.FLOAT}))


REFUSALS: dict[str, tuple[onnx.ModelProto, str]] = {
    "text": (
        model_of(
            helper.make_node("Identity", ["x"], ["y"]),
            1,
            {"y": TensorProto.STRING},
            element=TensorProto.STRING,
        ),
        "features that are text",
    ),
    "unknown operator": (
        model_of(helper.make_node("Erf", ["x"], ["y"]), 1, {"y": TensorProto.FLOAT}),
        "not among the operators",
    ),
    "column that is not there": (
        regressor(_tree(("BRANCH_LEQ", 4, 0.5, 1, 2, 0), LEAF, LEAF, weights=HALVES), 1, 2),
        "reads column 4 of an input with 2 columns",
    ),
    "circle": (
        regressor(
            _tree(*STUMP[:1], ("BRANCH_LEQ", 0, 0.0, 0, 2, 0), LEAF, weights=[(2, 0, 1.0)]), 1, 1
        ),
        "lead in a circle",
    ),
    "node that is not there": (
        regressor(_tree(("BRANCH_LEQ", 0, 0.5, 1, 7, 0), LEAF, LEAF, weights=HALVES), 1, 1),
        "mentions node 7 of tree 0",
    ),
    "unknown condition": (
        regressor(_tree(("BRANCH_NEAR", 0, 0.5, 1, 2, 0), LEAF, LEAF, weights=HALVES), 1, 1),
        "its condition BRANCH_NEAR is not covered",
    ),
    "infinite leaf": (
        regressor(_tree(*STUMP, weights=[(1, 0, float("inf")), (2, 0, 1.0)]), 1, 1),
        "infinite or NaN",
    ),
    "one class": (
        classifier(_tree(*STUMP, weights=HALVES), [3], 1),
        "knows one class only",
    ),
    "half a class": (
        classifier(_tree(*STUMP, weights=[(1, 0, 1.0), (2, 1, 1.0)]), [3, 4], 1),
        "some of its leaves leave a class out",
    ),
}


@pytest.mark.parametrize(("model", "reason"), REFUSALS.values(), ids=REFUSALS)
def test_what_is_not_covered_is_refused_by_name(model: onnx.ModelProto, reason: str) -> None:
    with pytest.raises(ModelError, match=reason) as caught:
        ClassicalModel.read(model)
    assert caught.value.where is not None


def test_double_thresholds_that_float32_cannot_hold_are_refused() -> None:
    lists = _tree(*STUMP, weights=HALVES)
    values = lists.nodes.pop("values")
    values[0] = 0.1
    weights = lists.weights.pop("weights")
    node = helper.make_node(
        "TreeEnsembleRegressor",
        ["x"],
        ["y"],
        domain="ai.onnx.ml",
        n_targets=1,
        nodes_values_as_tensor=helper.make_tensor("v", TensorProto.DOUBLE, [3], values),
        target_weights_as_tensor=helper.make_tensor("w", TensorProto.DOUBLE, [2], weights),
        **lists.attributes("target"),
    )
    model = model_of(node, 1, {"y": TensorProto.FLOAT}, element=TensorProto.DOUBLE)
    with pytest.raises(ModelError, match="no float32 holds them"):
        ClassicalModel.read(model)


SMALL = ("forest with text", "XGBoost's forest", "LightGBM", "gradient boosting, 3 classes")


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(SMALL), st.integers(0, 2**32))
def test_a_damaged_model_is_refused_and_nothing_else(name: str, seed: int) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(_export(name))
    rng = np.random.default_rng(seed)
    for _ in range(2):
        node = model.graph.node[0]
        _damage(rng, node.attribute[int(rng.integers(len(node.attribute)))])
    with suppress(SnapqError):
        rewrite_for_cpu(ClassicalModel.read(model))


@functools.cache
def _export(name: str) -> onnx.ModelProto:
    return exports.TREES[name][1]()


def _damage(rng: np.random.Generator, attribute: onnx.AttributeProto) -> None:
    for values, others in (
        (attribute.ints, [0, -1, 2**40, -(2**63), 7]),
        (attribute.floats, [0.0, NAN, float("inf"), -1e30]),
        (attribute.strings, [b"BRANCH_GT", b"\xff", b"LEAF", b"BRANCH_EQ"]),
    ):
        if len(values):
            at = int(rng.integers(len(values)))
            if rng.random() < 0.2:
                del values[at:]
            else:
                values[at] = others[int(rng.integers(len(others)))]


def test_two_classes_with_weights_for_both_are_answered_as_onnxruntime_does_with_a_note() -> None:
    weights = [(1, 0, 0.9), (1, 1, 0.1), (2, 0, 1.0), (2, 1, -1.0)]
    model = classifier(_tree(*STUMP, weights=weights), [10, 20], 1)
    read = _same(model, np.array([[0], [1]], np.float32))
    assert read.run(np.array([[0], [1]], np.float32))["label"].tolist() == [1, 0]
    assert "answers by the second score alone" in read.notes[0]


FLOATS = np.array([[1.0], [2.0], [NAN], [-0.0], [5.0]], np.float32)
INTEGERS = np.array([[1], [2], [7], [-1]], np.int64)


@pytest.mark.parametrize("version", [2, 4])
@pytest.mark.parametrize(
    ("rows", "table"),
    [
        (FLOATS, {"keys_floats": [2.0, 1.0, 2.0, 0.0], "values_int64s": [5, 6, 7, 8]}),
        (FLOATS, {"keys_floats": [NAN, 1.0, 2.0], "values_floats": [9.0, 6.0, 7.0]}),
        (INTEGERS, {"keys_int64s": [2, 1, 2, -1], "values_strings": ["a", "bb", "c", "dddd"]}),
        (INTEGERS, {"keys_int64s": [7], "values_floats": [1.5]}),
    ],
)
def test_keys_become_values_as_in_onnxruntime(
    version: int, rows: Any, table: dict[str, Any]
) -> None:
    node = helper.make_node("LabelEncoder", ["x"], ["y"], domain="ai.onnx.ml", **table)
    kinds = {"values_int64s": TensorProto.INT64, "values_floats": TensorProto.FLOAT}
    output = next((kinds[name] for name in table if name in kinds), TensorProto.STRING)
    element = helper.np_dtype_to_tensor_dtype(rows.dtype)
    _same(model_of(node, 1, {"y": output}, version=version, element=element), rows)
