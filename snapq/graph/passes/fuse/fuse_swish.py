"""Finds Swish (SiLU) and hard Swish in their parts.

1. `x * sigmoid(x)` becomes `Swish(x)`; `x * sigmoid(a x)` becomes `Swish(a x) / a`, whose factors
   fold into the layers around it: the NPU has no slope.
2. `x * HardSigmoid(x, 1/6, 0.5)` becomes `HardSwish(x)`.
3. `x * clip(x + 3, 0, 6) / 6` becomes `HardSwish(x)`.
4. A constant factor around it stays as a Mul.

Sources: Ramachandran et al., arXiv:1710.05941; Howard et al., arXiv:1905.02244.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, input_at, is_float, number, scalar
from snapq.graph.passes.algebra import (
    Polynomial,
    matches,
    multiple_of,
    polynomial,
    scale_of,
    upstream,
)
from snapq.graph.passes.base import Result

OPERATORS = ("Sigmoid", "HardSigmoid", "Clip")

_PRODUCT: Polynomial = {(1, 1): 1.0}
_SIXTH: Polynomial = {(1, 1): 1 / 6}
_PLUS_THREE: Polynomial = {(1,): 1.0, (0,): 3.0}


def apply(node: ir.Node, edit: Editor) -> Result:
    """Makes one Swish or HardSwish of a gate and the Mul behind it."""
    argument, gate = node.inputs[0], node.outputs[0]
    if argument is None or not is_float(argument) or not _may_gate(node):
        return False
    for source in upstream(argument):
        slope = _slope(node, argument, source)
        if slope is None:
            continue
        found = multiple_of(_SIXTH if node.op_type == "Clip" else _PRODUCT, gate, source)
        if found is not None:
            result, factor = found
            edit.begin(result)
            if node.op_type == "Sigmoid":
                inner = source if slope == 1 else edit.op("Mul", source, number(slope))
                fused, factor = edit.op("Swish", inner), factor / slope
            else:
                fused = edit.op("HardSwish", source)
            edit.replace_scaled(result, fused, factor)
            return True
    return False


def _may_gate(node: ir.Node) -> bool:
    if node.op_type == "Clip":
        return scalar(input_at(node, 1)) == 0 and scalar(input_at(node, 2)) == 6
    if node.op_type == "HardSigmoid":
        alpha = node.attributes.get_float("alpha", 0.2)
        return abs(alpha - 1 / 6) < 1e-4 and node.attributes.get_float("beta", 0.5) == 0.5
    return True


def _slope(node: ir.Node, argument: ir.Value, source: ir.Value) -> float | None:
    """The factor on the source inside the gate, where the gate is one of `source`."""
    if node.op_type == "Clip":
        return 1.0 if matches(polynomial(argument, [source]), _PLUS_THREE) else None
    if node.op_type == "HardSigmoid":
        return 1.0 if argument is source else None
    slope = scale_of(polynomial(argument, [source]), {(1,): 1.0})
    return None if slope is None else (1.0 if abs(slope - 1) < 1e-6 else slope)
