"""Moves a constant factor or summand in front of a Transpose, where a layer waits to take it.

1. `Mul(Transpose(f(x)), c)`, and so Div, Add and Sub, c one number or one along one axis, becomes
   `Transpose(Mul(f(x), c))`, f a linear layer that can be scaled and that nothing else uses.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant_operand, ints_attribute, same_shape, sole_producer
from snapq.graph.edit.layers import SCALABLE, along_channels, layer_before
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape

OPERATORS = ("Mul", "Div", "Add", "Sub")


def apply(node: ir.Node, edit: Editor) -> Result:
    """Moves one constant in front of the Transpose that feeds it."""
    operands = constant_operand(node)
    if operands is None or not same_shape(operands[0], node.outputs[0]):
        return False
    if node.op_type in ("Div", "Sub") and operands[0] is not node.inputs[0]:
        return False
    turn = sole_producer(operands[0], "Transpose")
    order = ints_attribute(turn, "perm") if turn is not None else None
    layer = layer_before(turn.inputs[0], SCALABLE) if turn is not None else None
    shape = static_shape(node.outputs[0])
    if turn is None or order is None or layer is None or shape is None:
        return False
    array = operands[1]
    if array.ndim > len(shape):
        return False
    full = array.reshape((1,) * (len(shape) - array.ndim) + array.shape)
    before = np.transpose(full, np.argsort(order))
    if along_channels(layer, before) is None:
        return False
    moved = edit.op(node.op_type, turn.inputs[0], before)
    moved.shape, moved.type = layer.outputs[0].shape, layer.outputs[0].type
    return edit.op("Transpose", moved, perm=list(order))
