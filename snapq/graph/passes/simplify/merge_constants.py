"""Makes one operation of two with constants.

1. `(x + a) + b` becomes `x + (a + b)`, and `(x * a) * b` becomes `x * (a * b)`, where nothing else
   uses the middle and the shape stays the same.
2. `x / a` becomes `x * (1 / a)`: a product is the cheaper one.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, constant_operand, same_shape, sole_producer
from snapq.graph.passes.base import Result

OPERATORS = ("Add", "Mul", "Div")


def apply(node: ir.Node, edit: Editor) -> Result:
    """Merges the constant of one node with that of the node in front of it."""
    operands = constant_operand(node)
    if operands is None or not np.issubdtype(operands[1].dtype, np.floating):
        return False
    middle, outer = operands
    if node.op_type == "Div":
        if constant(node.inputs[1]) is None or np.any(np.abs(outer) < 1e-30):
            return False
        return edit.op("Mul", middle, (1.0 / outer.astype(np.float64)).astype(outer.dtype))
    before = sole_producer(middle, node.op_type)
    inner = constant_operand(before) if before is not None else None
    if inner is None or not same_shape(inner[0], node.outputs[0]):
        return False
    merged = inner[1] + outer if node.op_type == "Add" else inner[1] * outer
    if not np.all(np.isfinite(merged)):
        return False
    return edit.op(node.op_type, inner[0], merged.astype(outer.dtype))
