"""Repeats a number that something of 5 dimensions is multiplied by along the last of them.

1. `Mul(x, c)` and `Div(x, c)` of one number c: c becomes `[size of the last dimension]`.

With a Reshape behind, Qualcomm's compiler finds no memory for such a product, however small (QAIRT
2.51, fp16, v73 and v81); sums with a number and products with a vector compile.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, scalar
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape
from snapq.operators import MAX_RANK

OPERATORS = ("Mul", "Div")


def apply(node: ir.Node, edit: Editor) -> Result:
    """Repeats the number of one product."""
    shape = static_shape(node.outputs[0])
    if shape is None or len(shape) != MAX_RANK:
        return False
    for place, value in enumerate(node.inputs):
        factor = scalar(value)
        if factor is not None and shape[-1] > 1:
            edit.set_constant(node, place, np.full(shape[-1:], factor, np.float32))
            return True
    return False
