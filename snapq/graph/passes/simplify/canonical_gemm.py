"""Brings every Gemm to the form `x @ w.T + b` that the NPU's fully connected layer has.

1. A constant w is transposed so that `transB` is 1, and takes `alpha` in.
2. A constant b takes `beta` in and becomes a vector `[N]`; a b of another shape, or one that is not
   constant and scaled, becomes an Add of its own.
3. `transA` becomes a Transpose.
4. Without a constant w it becomes a MatMul, with Mul and Add where it has factors and a sum.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, aligned, constant, input_at
from snapq.graph.edit.layers import is_canonical_gemm
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape

OPERATORS = ("Gemm",)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Brings one Gemm to the canonical form."""
    source, weight = node.inputs[0], constant(node.inputs[1])
    shape, bias = static_shape(node.outputs[0]), input_at(node, 2)
    if source is None or shape is None:
        return False
    vector = bias is None or (weight is not None and static_shape(bias) == weight.shape[:1])
    if is_canonical_gemm(node) and weight is not None and vector:
        return False
    if node.attributes.get_int("transA", 0):
        source = edit.op("Transpose", source, perm=[1, 0])
    alpha = node.attributes.get_float("alpha", 1.0)
    turned = node.attributes.get_int("transB", 0)
    if weight is None:
        operand = edit.op("Transpose", node.inputs[1], perm=[1, 0]) if turned else node.inputs[1]
        result = edit.op("MatMul", source, operand)
        if alpha != 1:
            result = edit.op("Mul", result, np.array(alpha, np.float32))
        return _add_bias(node, result, edit)
    matrix = weight * weight.dtype.type(alpha) if alpha != 1 else weight
    matrix = matrix if turned else matrix.T
    summand = constant(bias)
    addition = aligned(summand, shape, 1) if summand is not None else None
    if addition is None:
        return _add_bias(node, edit.op("Gemm", source, matrix, transB=1), edit)
    addition = addition * addition.dtype.type(node.attributes.get_float("beta", 1.0))
    return edit.op("Gemm", source, matrix, addition, transB=1)


def _add_bias(node: ir.Node, result: ir.Value, edit: Editor) -> ir.Value:
    bias = input_at(node, 2)
    beta = node.attributes.get_float("beta", 1.0)
    if bias is None:
        return result
    if beta != 1:
        bias = edit.op("Mul", bias, np.array(beta, np.float32))
    return edit.op("Add", result, bias)
