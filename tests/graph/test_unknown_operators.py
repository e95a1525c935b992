"""Operators that only the tool has that wrote them are refused by name."""

from __future__ import annotations

import onnx
import onnx_ir as ir
import pytest

from snapq.errors import ModelError
from snapq.graph.unknown_operators import refuse_unknown_operators


def model(body: str, imports: str = "", functions: str = "") -> ir.Model:
    return ir.from_proto(
        onnx.parser.parse_model(
            f"""<ir_version: 9, opset_import: ["": 18{imports}]>
            g (float[1, 4] x) => (float[1, 4] y) {{ {body} }} {functions}"""
        )
    )


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (model("y = TFL_GELU(x)"), "of the operator TFL_GELU, which ONNX does not have"),
        (
            model("t = com.amd.quark.Q(x) y = com.amd.quark.Q(t)", ', "com.amd.quark": 1'),
            r"Q, which only the runtime of com.amd.quark has \(2 such nodes\)",
        ),
    ],
    ids=["tf2onnx", "Quark"],
)
def test_what_only_its_own_tool_computes_is_refused(given: ir.Model, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        refuse_unknown_operators(given)


@pytest.mark.parametrize(
    "given",
    [
        model("y = com.microsoft.FastGelu(x)", ', "com.microsoft": 1'),
        model(
            "y = own.Twice(x)",
            ', "own": 1',
            '<domain: "own", opset_import: ["": 18]> Twice (a) => (b) { b = Add(a, a) }',
        ),
    ],
    ids=["of ONNX Runtime", "function"],
)
def test_what_onnx_runtime_or_the_model_itself_computes_is_not(given: ir.Model) -> None:
    refuse_unknown_operators(given)
