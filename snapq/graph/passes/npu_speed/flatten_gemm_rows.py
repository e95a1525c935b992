"""Multiplies rows by constant weights, and adds their bias, as one Gemm.

1. `MatMul(x, w) + b` with x of more than two dimensions, a constant matrix w and a constant vector
   b becomes Reshape, Gemm, Reshape.
2. So does `MatMul(x, w)` without a constant vector added.

The NPU's fully connected layer has a bias, its matrix product has none: by Qualcomm's estimate on
QCS9075 a text recognizer with 13 such products takes 6 % fewer cycles at 8 and at 16 bits, and the
same at float16.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import (
    Editor,
    aligned,
    constant,
    constant_operand,
    integers,
    is_float,
    is_op,
    same_shape,
)
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape

OPERATORS = ("MatMul",)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Makes one MatMul, with the Add behind it, a Gemm between Reshapes."""
    weight, shape = constant(node.inputs[1]), static_shape(node.inputs[0])
    if weight is None or weight.ndim != 2 or shape is None or len(shape) < 3 or 0 in shape:
        return False
    if not is_float(node.inputs[0]):
        return False
    result, bias = _bias_behind(node)
    if result is not node.outputs[0]:
        edit.begin(result)
    rows = edit.op("Reshape", node.inputs[0], integers(-1, shape[-1]))
    parameters = [weight.T] if bias is None else [weight.T, bias]
    product = edit.op("Gemm", rows, *parameters, transB=1)
    edit.replace_scaled(
        result, edit.op("Reshape", product, integers(*shape[:-1], weight.shape[1])), 1.0
    )
    return True


def _bias_behind(node: ir.Node) -> tuple[ir.Value, np.ndarray | None]:
    """The sum with a constant vector that alone uses the product, and the vector."""
    product = node.outputs[0]
    users, shape = product.consumers(), static_shape(product)
    if len(product.uses()) != 1 or product.is_graph_output() or not is_op(users[0], "Add"):
        return product, None
    operands = constant_operand(users[0])
    if operands is None or shape is None or not same_shape(product, users[0].outputs[0]):
        return product, None
    bias = aligned(operands[1], shape, len(shape) - 1)
    return (product, None) if bias is None else (users[0].outputs[0], bias)
