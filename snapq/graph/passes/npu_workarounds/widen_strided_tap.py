"""Gives a layer of one tap with strides, which leaves one row, a second tap.

1. A dense `Conv(x)` of one tap, of one sample, whose stride along columns divides them, and which
   leaves one row of a multiple of 8 of them, gets a tap of zeros behind it along columns.

At 16 bits, an Add behind it is wrong where the row has 8 or 16 columns, or up to 64 out of two rows
(-2 to 1 dB, 45 with two taps; simulated on v68 to v85, QAIRT 2.51): the shortcut of a residual
block over a signal is one. At 8 bits and in fp16 it is right.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, constant, ints_attribute
from snapq.graph.passes.base import Result
from snapq.graph.passes.npu_workarounds.widen_depthwise_conv import add_taps
from snapq.graph.shapes import static_shape

OPERATORS = ("Conv",)

_COLUMNS = 8


def apply(node: ir.Node, edit: Editor) -> Result:
    """Widens one layer."""
    shape, made = static_shape(node.inputs[0]), static_shape(node.outputs[0])
    weight = constant(node.inputs[1])
    if shape is None or made is None or weight is None or max(weight.shape[2:]) != 1:
        return False
    if shape[0] != 1 or node.attributes.get_int("group", 1) != 1 or len(shape) > 4:
        return False
    stride = (ints_attribute(node, "strides") or (1,))[-1]
    padded = any(ints_attribute(node, "pads") or ())
    one_row = all(size == 1 for size in made[2:-1])
    if stride == 1 or padded or not one_row or shape[-1] % stride or made[-1] % _COLUMNS:
        return False
    add_taps(node, weight, [*[0] * (len(shape) - 3), 1], edit)
    node.attributes.pop("dilations", None)
    return True
