"""Folds a constant factor per channel into the layer in front of it.

1. `Mul(f(x), c)` and `Div(f(x), c)`, c one number or one per output channel, of a Conv,
   ConvTranspose, Gemm, MatMul or normalization f that nothing else uses, become f with other
   weights.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant_operand, same_shape
from snapq.graph.edit.layers import SCALABLE, along_channels, layer_before, scale_and_shift
from snapq.graph.passes.base import Result, Skipped

OPERATORS = ("Mul", "Div")


def apply(node: ir.Node, edit: Editor) -> Result:
    """Moves one constant factor into the layer that feeds it."""
    operands = constant_operand(node)
    if operands is None or (node.op_type == "Div" and operands[0] is not node.inputs[0]):
        return False
    layer = layer_before(operands[0], SCALABLE)
    if layer is None or not same_shape(operands[0], node.outputs[0]):
        return False
    factor = along_channels(layer, operands[1])
    if factor is None:
        return Skipped("the constant is not one number for each output channel of the layer")
    if node.op_type == "Div" and np.any(factor == 0):
        return Skipped("it divides by zero")
    wide = factor.astype(np.float64)
    scale_and_shift(layer, edit, 1.0 / wide if node.op_type == "Div" else wide, None)
    return layer.outputs[0]
