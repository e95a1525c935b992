"""Makes a Gemm, which can have a bias, of the product of a matrix and constant weights.

1. `MatMul(x, w)` becomes `Gemm(x, w.T)` where x has two dimensions and w is a constant matrix.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, constant, is_float, rank
from snapq.graph.passes.base import Result

OPERATORS = ("MatMul",)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Makes one MatMul a Gemm."""
    weight = constant(node.inputs[1])
    source = node.inputs[0]
    if weight is None or weight.ndim != 2 or rank(source) != 2 or not is_float(source):
        return False
    return edit.op("Gemm", source, weight.T, transB=1)
