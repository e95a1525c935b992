"""Folds a constant summand per channel into the bias of the layer in front of it.

1. `Add(f(x), c)` and `Sub(f(x), c)`, c one number or one per output channel, of a Conv,
   ConvTranspose, Gemm or normalization f that nothing else uses, become f with another bias.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, constant_operand, same_shape
from snapq.graph.edit.layers import SHIFTABLE, along_channels, layer_before, scale_and_shift
from snapq.graph.passes.base import Result, Skipped

OPERATORS = ("Add", "Sub")


def apply(node: ir.Node, edit: Editor) -> Result:
    """Moves one constant summand into the layer that feeds it."""
    operands = constant_operand(node)
    if operands is None or (node.op_type == "Sub" and operands[0] is not node.inputs[0]):
        return False
    layer = layer_before(operands[0], SHIFTABLE)
    if layer is None or not same_shape(operands[0], node.outputs[0]):
        return False
    shift = along_channels(layer, operands[1])
    if shift is None:
        return Skipped("the constant is not one number for each output channel of the layer")
    scale_and_shift(layer, edit, None, -shift if node.op_type == "Sub" else shift)
    return layer.outputs[0]
