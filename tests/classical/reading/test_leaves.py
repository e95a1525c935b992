"""What is computed of one tree alone becomes the values of its leaves, and what is added up one
ensemble; answers stay the same."""

from __future__ import annotations

import numpy as np
import onnx
from sklearn import ensemble, tree

from snapq.classical.ensemble import Ensemble
from snapq.classical.model import ClassicalModel
from snapq.classical.program import Step
from snapq.classical.rewrite import rewrite_for_cpu
from tests.classical.exports import SEED, data, sklearn
from tests.classical.reference import assert_same, onnxruntime_answers

OPSETS = {"": 18, "ai.onnx.ml": 3}


def isolation(count: int) -> onnx.ModelProto:
    one = ensemble.IsolationForest(n_estimators=count, **SEED)
    return sklearn(one, "cancer", target_opset=OPSETS)


def operations(model: ClassicalModel) -> list[str]:
    return [item.op for item in model.items if isinstance(item, Step) and item.op != "Constant"]


def test_trees_of_an_isolation_forest_give_how_deep_a_row_lies() -> None:
    model, rows = isolation(6), data("cancer")[0]
    read, plain = ClassicalModel.read(model), ClassicalModel.read(model, merged=False)
    assert "LabelEncoder" in operations(plain)
    assert not {"LabelEncoder", "Gather", "Log"} & set(operations(read))
    (one,) = read.estimators
    assert isinstance(one.form, Ensemble)
    assert (one.rows, len(one.form.roots)) == ("X", 6)
    expected = onnxruntime_answers(model, {"X": rows})
    assert_same(read.run(rows), expected)
    assert_same(plain.run(rows), expected)


def test_an_isolation_forest_takes_a_sixth_of_the_bytes() -> None:
    model = isolation(30)
    written = rewrite_for_cpu(ClassicalModel.read(model))
    assert written.ByteSize() <= model.ByteSize() / 6


def test_trees_of_some_columns_read_the_whole_rows() -> None:
    bagging = ensemble.BaggingClassifier(
        tree.DecisionTreeClassifier(max_depth=4), 4, max_features=0.4, **SEED
    )
    model, rows = sklearn(bagging, "cancer", convert={"zipmap": False}), data("cancer")[0]
    read = ClassicalModel.read(model)
    forms = [one.form for one in read.estimators]
    assert {form.features for form in forms if isinstance(form, Ensemble)} == {rows.shape[1]}
    assert_same(read.run(rows), onnxruntime_answers(model, {"X": rows}))


def test_a_value_that_others_read_too_stays() -> None:
    model = isolation(2)
    lookup = next(node for node in model.graph.node if node.op_type == "LabelEncoder")
    model.graph.output.append(
        onnx.helper.make_tensor_value_info(lookup.output[0], onnx.TensorProto.FLOAT, None)
    )
    read, rows = ClassicalModel.read(model), data("cancer")[0]
    assert operations(read).count("LabelEncoder") == 2
    assert_same(read.run(rows), onnxruntime_answers(model, {"X": rows}))
    assert np.unique(read.run(rows)[lookup.output[0]]).size > 2
