from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from snapq.classical.model import ClassicalModel
from snapq.classical.program import Step
from snapq.classical.writing import program_to_onnx
from tests.classical.exports import OTHERS, data
from tests.classical.reference import onnxruntime_answers

ROWS = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
ODD = ROWS.copy()
ODD[0, 0], ODD[1, 1], ODD[2, 2], ODD[3, 0], ODD[3, 1] = np.nan, np.inf, -np.inf, np.inf, np.inf


def differences(*, uneven: bool = False, computed: bool = False) -> onnx.ModelProto:
    """Columns x1 - x0 + 1, x2 - x0 + 1, x0 + x1 of four scaled features, column by column."""
    nodes = [
        helper.make_node("Scaler", ["x"], ["s"], domain="ai.onnx.ml", offset=[0.0], scale=[2.0])
    ]
    constants = [numpy_helper.from_array(np.float32([[1]]), "one")]
    if computed:
        nodes += [helper.make_node("ArgMax", ["s"], ["best"], axis=0, keepdims=0)]
    for column in range(4):
        constants.append(numpy_helper.from_array(np.array([column]), f"at {column}"))
        indices = "best" if computed and column == 3 else f"at {column}"
        nodes += [
            helper.make_node(
                "ArrayFeatureExtractor", ["s", indices], [f"c{column}"], domain="ai.onnx.ml"
            )
        ]
    nodes += [helper.make_node("Neg", ["c0"], ["n0"])]
    for other in (1, 2):
        nodes += [helper.make_node("Sum", [f"c{other}", "n0"], [f"sum {other}"])]
        nodes += [helper.make_node("Add", [f"sum {other}", "one"], [f"d{other}"])]
    last = ["c0", "c1", "c2"] if uneven else ["c0", "c1"]
    nodes += [helper.make_node("Sum", last, ["d3"])]
    parts = ["d1", "d2", "d3", *(["c3"] if computed else [])]
    nodes += [helper.make_node("Concat", parts, ["joined"], axis=1)]
    nodes += [helper.make_node("Tanh", ["joined"], ["y"])]
    graph = helper.make_graph(
        nodes,
        "columns",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        constants,
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def operations(model: ClassicalModel) -> list[str]:
    return [item.op for item in model.items if isinstance(item, Step) and item.op != "Constant"]


@pytest.mark.parametrize("rows", [ROWS, ODD], ids=["finite", "not finite"])
def test_sums_of_columns_become_one_step_with_the_same_values(rows: np.ndarray) -> None:
    made = differences()
    read = ClassicalModel.read(made)
    assert operations(read) == ["Scaler", "add_columns", "Tanh"]
    (expected,) = onnxruntime_answers(made, {"x": rows})
    np.testing.assert_allclose(read.run(rows)["y"], expected, rtol=1e-6, atol=1e-6)
    written = program_to_onnx(read.program(), {"x": rows})
    (found,) = onnxruntime_answers(written, {"x": rows})
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_columns_of_differently_many_terms_stay_as_they_are() -> None:
    made = differences(uneven=True)
    read = ClassicalModel.read(made)
    assert "add_columns" not in operations(read)
    (expected,) = onnxruntime_answers(made, {"x": ROWS})
    np.testing.assert_allclose(read.run(ROWS)["y"], expected, rtol=1e-6, atol=1e-6)


def test_a_column_of_a_computed_index_is_taken_when_it_is_known() -> None:
    read = ClassicalModel.read(differences(computed=True))
    assert "ArrayFeatureExtractor" in operations(read)
    assert "Concat" in operations(read)


def test_scores_of_an_svc_of_three_classes_are_a_few_steps() -> None:
    name, make = OTHERS["SVC, 3 classes"]
    read = ClassicalModel.read(make())
    found = operations(read)
    assert found.count("add_columns") == 2
    assert len(found) < 25
    assert not {"Neg", "ArrayFeatureExtractor"} & set(found)
    assert len(read.run(data(name)[0])) == 2
