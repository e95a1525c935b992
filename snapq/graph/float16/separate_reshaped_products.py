"""Keeps a fully connected layer apart from a Reshape of what it gives to 5 dimensions.

1. `Reshape(y)` to 5 dimensions of which the last two are equal, where a Gemm or MatMul with a
   constant weight gives y, moved about or clamped at most, reads `Max(y, -131072)`, which no
   number of fp16 is below.

Qualcomm's compiler crashes on most, and some are wrong (7 dB; apart they have 68; simulator of
QAIRT 2.51, fp16, v73 to v81). In integers see `snapq.quantization.qdq.lowering`.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, constant, is_float, is_op, number
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape
from snapq.operators import clamps

OPERATORS = ("Reshape",)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Bounds what one Reshape reads."""
    if not spreads_a_product(node):
        return False
    node.replace_input_with(0, edit.op("Max", node.inputs[0], number(-(2.0**17))))
    return True


def spreads_a_product(node: ir.Node) -> bool:
    """Whether a Reshape brings what such a layer gives to 5 dimensions, the last two equal."""
    source, shape = node.inputs[0], static_shape(node.outputs[0])
    if not is_op(node, "Reshape") or shape is None or len(shape) != 5 or shape[3] != shape[4]:
        return False
    made = source.producer() if is_float(source) and source is not None else None
    while made is not None and (clamps(made) or is_op(made, "Reshape")):
        made = made.inputs[0].producer() if made.inputs[0] is not None else None
    layer = made is not None and is_op(made, "Gemm", "MatMul")
    return layer and made is not None and constant(made.inputs[1]) is not None
