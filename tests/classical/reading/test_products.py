from __future__ import annotations

import numpy as np
import onnx
import pytest
from sklearn import cross_decomposition, linear_model

from snapq.classical.estimator import Estimator
from snapq.classical.linear import Linear
from snapq.classical.model import ClassicalModel
from snapq.classical.perceptron import Perceptron
from snapq.errors import ModelError
from tests.classical.exports import OTHERS, data, sklearn
from tests.classical.reference import assert_same, onnxruntime_answers

MODELS = {
    "SGD": ("wine", linear_model.SGDClassifier(random_state=0)),
    "SGD, probabilities": ("cancer", linear_model.SGDClassifier(loss="log_loss", random_state=0)),
    "Perceptron": ("digits", linear_model.Perceptron(random_state=0)),
    "SGDOneClassSVM": ("cancer", linear_model.SGDOneClassSVM(random_state=0)),
    "PLS": ("diabetes", cross_decomposition.PLSRegression(2)),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_product_and_a_sum_are_a_linear_model(name: str) -> None:
    rows_of, estimator = MODELS[name]
    model = sklearn(estimator, rows_of)
    rows = data(rows_of)[0]
    read = ClassicalModel.read(model)
    assert [type(one.form) for one in read.estimators] == [Linear]
    x = model.graph.input[0].name
    assert_same(read.run({x: rows}), onnxruntime_answers(model, {x: rows}))


@pytest.mark.parametrize(
    ("name", "layers", "activation"),
    [
        ("MLPClassifier", 2, "Relu"),
        ("MLPClassifier, 2 classes", 3, "Tanh"),
        ("MLPClassifier, sigmoids", 3, "Sigmoid"),
        ("MLPRegressor", 2, "Relu"),
    ],
)
def test_products_one_behind_the_other_are_a_perceptron(
    name: str, layers: int, activation: str
) -> None:
    (one,) = ClassicalModel.read(OTHERS[name][1]()).estimators
    assert isinstance(one.form, Perceptron)
    assert (len(one.form.layers), one.form.activation) == (layers, activation)


def two_products(last: str) -> onnx.ModelProto:
    text = """
        <ir_version: 9, opset_import: ["": 18, "ai.onnx.ml": 3]>
        network (float[N, 2] x) => (float[N, 2] y)
        <float[2, 2] a = {1, 2, 3, 4}, float[2, 2] b = {1, 0, 2, 1}> {
            s = ai.onnx.ml.Scaler <offset = [0.0], scale = [2.0]> (x)
            h = MatMul (s, a)
            r = Relu (h)
            LAST
        }"""
    return onnx.parser.parse_model(text.replace("LAST", f"z = {last}"))


def test_a_network_and_a_product_in_front_of_an_estimator_keep_their_steps() -> None:
    for last in ("MatMul (r, b) y = Add (z, h)", "MatMul (s, b) y = Add (z, r)"):
        assert not ClassicalModel.read(two_products(last)).estimators
    for name in ("SVC", "LogisticRegression"):
        items = ClassicalModel.read(OTHERS[name][1]()).items
        assert sum(isinstance(item, Estimator) for item in items) == 1


@pytest.mark.parametrize(
    "text",
    [
        "d = MatMul (s, a) y = Sub (d, c)",
        "d = MatMul (s, a) y = Sub (c, d)",
        "d = MatMul (s, a) y = Add (c, d)",
        "d = MatMul (s, a) y = Add (d, d)",
        "d = MatMul (s, v) y = Add (d, c)",
        "y = Gemm <alpha = 2.0, beta = 3.0, transB = 1> (s, a, c)",
    ],
)
def test_offsets_on_either_side_and_of_one_number_are_taken(text: str) -> None:
    rows = np.random.default_rng(0).normal(size=(7, 2)).astype(np.float32)
    model = onnx.parser.parse_model(f"""
        <ir_version: 9, opset_import: ["": 18, "ai.onnx.ml": 3]>
        linear (float[N, 2] x) => (float[N] y)
        <float[2, 2] a = {{1, 2, 3, 4}}, float[2] v = {{1, -1}}, float[1] c = {{0.5}}> {{
            s = ai.onnx.ml.Scaler <offset = [0.0], scale = [2.0]> (x)
            {text}
        }}""")
    model.graph.output[0].type.tensor_type.ClearField("shape")
    read = ClassicalModel.read(model)
    assert len(read.estimators) == 1
    (expected,) = onnxruntime_answers(model, {"x": rows})
    np.testing.assert_allclose(read.run(rows)["y"], expected, rtol=1e-5, atol=1e-5)


def test_an_output_without_an_answer_for_each_row_is_refused() -> None:
    """As skl2onnx writes the votes of a BaggingClassifier: an answer for each estimator."""
    model = onnx.parser.parse_model("""
        <ir_version: 9, opset_import: ["": 18, "ai.onnx.ml": 3]>
        linear (float[N, 2] x) => (float[M, 2] y)
        <float[2, 2] a = {1, 2, 3, 4}, int64[1] rows = {0}> {
            s = ai.onnx.ml.Scaler <offset = [0.0], scale = [2.0]> (x)
            h = MatMul (s, a)
            y = ReduceSum (h, rows)
        }""")
    with pytest.raises(ModelError, match="no answer for each") as caught:
        ClassicalModel.read(model)
    assert caught.value.where == "output 'y'"
