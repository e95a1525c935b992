"""Multiplies what has 5 dimensions by a number in 4.

1. `Mul(x, c)` and `Div(x, c)` of one number c = Reshape, which merges the first two dimensions, the
   same, Reshape.

With a Reshape behind, Qualcomm's compiler finds no memory for such a product, however small (QAIRT
2.51, fp16, v73 and v81). Sums with a number compile.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, integers, scalar
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape
from snapq.operators import MAX_RANK

OPERATORS = ("Mul", "Div")


def apply(node: ir.Node, edit: Editor) -> Result:
    """Flattens one product."""
    shape = static_shape(node.outputs[0])
    numbers = [scalar(value) for value in node.inputs]
    if shape is None or len(shape) != MAX_RANK or numbers.count(None) != 1:
        return False
    flat = integers(shape[0] * shape[1], *shape[2:])
    operands = [
        edit.op("Reshape", value, flat) if number is None else value
        for value, number in zip(node.inputs, numbers, strict=True)
    ]
    return edit.op("Reshape", edit.op(node.op_type, *operands), integers(*shape))
