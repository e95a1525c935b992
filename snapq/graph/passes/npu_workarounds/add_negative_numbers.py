"""Subtracts a number by adding its negative.

1. `Sub(x, c)` of one number c becomes `Add(x, -c)`.

At 16 bits, where the result is less than a third of x, and x is a map behind a Conv, a pool or a
MatMul, the NPU gives the largest code everywhere: -12 dB for `Sigmoid(Conv(x)) - 0.5`, and 46 as an
Add (QAIRT 2.51, simulated on v73 and v81; right on v85). A number minus a map, maps minus maps, and
one number for each channel are right. So Zipformer's SwooshR ends.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, constant, is_float
from snapq.graph.passes.base import Result

OPERATORS = ("Sub",)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Writes one subtraction as an addition."""
    fixed = constant(node.inputs[1])
    if fixed is None or fixed.size != 1 or not is_float(node.inputs[0]):
        return False
    return edit.op("Add", node.inputs[0], -fixed)
