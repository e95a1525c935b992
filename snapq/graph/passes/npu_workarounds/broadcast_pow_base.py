"""Gives the base of a power the shape of the result.

In integers Qualcomm's runtime (QAIRT 2.51) computes a Pow wrongly whose base is repeated.

1. `Pow(b, x)` with a base b smaller than the result = `Pow(Expand(b), x)`, where a constant base is
   a larger constant.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, integers, is_float
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape

OPERATORS = ("Pow",)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Makes the base of one Pow as large as the result."""
    base, made = node.inputs[0], static_shape(node.outputs[0])
    if base is None or made is None or not is_float(base) or static_shape(base) == made:
        return False
    held = constant(base)
    if held is not None:
        edit.set_constant(node, 0, np.broadcast_to(held, made))
    else:
        node.replace_input_with(0, edit.op("Expand", base, integers(*made)))
    return True
