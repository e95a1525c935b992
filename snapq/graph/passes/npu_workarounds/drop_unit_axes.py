"""Takes axes of one element out of what a maximum or a minimum is taken over.

1. `ReduceMax(x)` and `ReduceMin(x)` over several axes, some of size 1, reduce over the others, and
   a Reshape drops the axes of size 1 where they are not kept.
2. GlobalMaxPool over a map one column wide or one row high becomes such a ReduceMax.

Over a map of n rows and one column Qualcomm's runtime (QAIRT 2.51, v68 to v81) gives another number
in 8 and 16 bits (-5 to 6 dB).
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, integers, reduced_axes
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape

OPERATORS = ("ReduceMax", "ReduceMin", "GlobalMaxPool")


def apply(node: ir.Node, edit: Editor) -> Result:
    """Rewrites one reduction."""
    source, shape = node.inputs[0], static_shape(node.inputs[0])
    result = static_shape(node.outputs[0])
    if source is None or shape is None or result is None or 0 in shape:
        return False
    pool = node.op_type == "GlobalMaxPool"
    axes = tuple(range(2, len(shape))) if pool else reduced_axes(node)
    several = [axis for axis in axes or () if shape[axis] != 1]
    if not several or axes is None or len(several) == len(axes):
        return False
    reduced = edit.op("ReduceMax" if pool else node.op_type, source, integers(*several), keepdims=1)
    keeps = pool or node.attributes.get_int("keepdims", 1) == 1
    return reduced if keeps else edit.op("Reshape", reduced, integers(*result))
