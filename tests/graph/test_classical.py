from __future__ import annotations

import onnx
import onnx_ir as ir
import pytest

from snapq.graph.classical import estimators, is_classical

HEAD = '<ir_version: 9, opset_import: ["": 18, "ai.onnx.ml": 3]>'
CONSTANTS = """
    float[4, 3] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3},
    float[3, 3] v = {1, 2, 3, 4, 5, 6, 7, 8, 9},
    float[3] b = {1, 2, 3}
"""


def parsed(nodes: str) -> ir.Model:
    text = f"{HEAD} m (float[N, 4] x) => (float[N, 3] y) <{CONSTANTS}> {{ {nodes} }}"
    return ir.from_proto(onnx.parser.parse_model(text))


SCALED = "s = ai.onnx.ml.Scaler <offset = [0.0], scale = [2.0]> (x) "


@pytest.mark.parametrize(
    ("nodes", "found"),
    [
        (SCALED + "d = MatMul (s, w) y = Add (d, b)", ["MatMul"]),
        (SCALED + "y = Gemm (s, w, b)", ["Gemm"]),
        (SCALED + "d = MatMul (s, w) r = Relu (d) y = MatMul (r, v)", []),
        ("d = MatMul (x, w) y = Add (d, b)", []),
        (SCALED + "t = Transpose (s) y = MatMul (s, t)", []),
        (
            "d = MatMul (x, w) y = ai.onnx.ml.LinearRegressor "
            "<targets = 1, coefficients = [1.0, 2.0, 3.0]> (d)",
            ["LinearRegressor"],
        ),
    ],
    ids=["MatMul", "Gemm", "two products", "no ONNX-ML", "no weights", "estimator"],
)
def test_a_single_product_between_onnx_ml_counts_as_a_linear_model(
    nodes: str, found: list[str]
) -> None:
    model = parsed(nodes)
    assert [node.op_type for node in estimators(model)] == found
    assert is_classical(model) is bool(found)
