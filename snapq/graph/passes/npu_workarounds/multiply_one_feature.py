"""Writes a fully connected layer of one input feature as a product.

1. `Gemm(x, w, b)` in canonical form with x `[M, 1]` and a constant w `[N, 1]` becomes
   `Mul(x, w.T)`, and an Add of b.

Quantized, Qualcomm's compiler does not end on some of them, on any chip, and 4-bit weights of one
feature are 30 dB worse than those of a product (QAIRT 2.51).
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, constant, input_at
from snapq.graph.edit.layers import is_canonical_gemm
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape

OPERATORS = ("Gemm",)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Rewrites one Gemm."""
    source, weight, bias = node.inputs[0], constant(node.inputs[1]), input_at(node, 2)
    if source is None or weight is None or not is_canonical_gemm(node):
        return False
    if (static_shape(source) or ())[1:] != (1,):
        return False
    product = edit.op("Mul", source, weight.T)
    return product if bias is None else edit.op("Add", product, bias)
