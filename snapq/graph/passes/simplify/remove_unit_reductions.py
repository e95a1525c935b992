"""Writes a reduction over dimensions of size 1 as a change of shape.

1. ReduceMean, ReduceSum, ReduceMax, ReduceMin and ReduceProd over axes of size 1, and
   GlobalAveragePool and GlobalMaxPool of one sample, become a Reshape.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, integers, reduced_axes
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape
from snapq.operators import Family, Trait, having, spec

OPERATORS = having(Trait.ONE_IS_KEPT)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Makes one reduction of nothing a Reshape."""
    shape, result = static_shape(node.inputs[0]), static_shape(node.outputs[0])
    if shape is None or result is None or 0 in shape:
        return False
    pools = spec(node.op_type).family is Family.POOLING
    axes = tuple(range(2, len(shape))) if pools else reduced_axes(node)
    if axes is None or any(shape[axis] != 1 for axis in axes):
        return False
    return edit.op("Reshape", node.inputs[0], integers(*result))
