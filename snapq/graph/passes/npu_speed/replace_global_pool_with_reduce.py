"""Writes global pooling as a reduction, which the NPU computes faster.

1. `GlobalAveragePool(x)` becomes `ReduceMean(x)` over the spatial axes, and `GlobalMaxPool(x)`
   becomes `ReduceMax(x)`.

By Qualcomm's estimate on QCS9075, for a text-angle classifier with ten poolings of wide, low
images: as fast at 8 bits, and the whole model 7 times faster at float16; with maxima, 500 times
faster at 8 bits.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, integers, rank
from snapq.graph.passes.base import Result

_REDUCTIONS = {"GlobalAveragePool": "ReduceMean", "GlobalMaxPool": "ReduceMax"}

OPERATORS = tuple(_REDUCTIONS)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Makes one global pooling a reduction."""
    dims = rank(node.inputs[0])
    if dims is None:
        return False
    reduction = _REDUCTIONS[node.op_type]
    axes = integers(*range(2, dims))
    return edit.op(reduction, node.inputs[0], axes, keepdims=1)
