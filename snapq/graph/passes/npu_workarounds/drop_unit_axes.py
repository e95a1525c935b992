"""Takes axes of one element out of what is reduced.

1. ReduceMax, ReduceMin, ReduceSum and ReduceMean over the last axis, of size 1, and over others
   reduce over those that are longer, and a Reshape drops the axes of size 1 that are not kept.
2. GlobalMaxPool and GlobalAveragePool over a map of one column become such a reduction.

Over a map of n rows and one column Qualcomm's runtime (QAIRT 2.51, v68 to v81) gives another number
in 8 and 16 bits (-5 to 6 dB).
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, integers, reduced_axes
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape

_POOLS = {"GlobalMaxPool": "ReduceMax", "GlobalAveragePool": "ReduceMean"}
OPERATORS = ("ReduceMax", "ReduceMin", "ReduceSum", "ReduceMean", *_POOLS)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Rewrites one reduction."""
    source, shape = node.inputs[0], static_shape(node.inputs[0])
    result = static_shape(node.outputs[0])
    if source is None or shape is None or result is None or 0 in shape:
        return False
    pool = node.op_type in _POOLS
    axes = tuple(range(2, len(shape))) if pool else reduced_axes(node)
    several = [axis for axis in axes or () if shape[axis] != 1]
    if not several or axes is None or shape[-1] != 1 or len(shape) - 1 not in axes:
        return False
    operator = _POOLS.get(node.op_type, node.op_type)
    reduced = edit.op(operator, source, integers(*several), keepdims=1)
    keeps = pool or node.attributes.get_int("keepdims", 1) == 1
    return reduced if keeps else edit.op("Reshape", reduced, integers(*result))
