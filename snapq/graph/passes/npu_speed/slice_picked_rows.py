"""Takes one element of an axis of narrow tensors of five dimensions or more as a slice of rows.

1. With a last axis of at most 4, `Gather(x, i)` of one constant index =
   `Reshape(Slice(Reshape(x, [rows, n m]), i m, (i + 1) m))`, for an axis of n elements with m
   numbers behind each; the first axis is left alone.

So deformable attention takes the places of one level. Estimated in us on QCS9075 and SA8797P (QAIRT
2.51) in fp16, places of three levels for 336 queries, 4 heads and 4 points, sampled: 14,532 and 285
with Gathers, 8,322 and 201 with slices.
"""

from __future__ import annotations

from math import prod

import onnx_ir as ir

from snapq.graph.edit import Editor, constant, integers
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape

OPERATORS = ("Gather",)
_DEEP, _NARROW = 5, 4
"""Dimensions at least, and numbers of the last axis at most."""


def apply(node: ir.Node, edit: Editor) -> Result:
    """Rewrites one Gather."""
    shape, result = static_shape(node.inputs[0]), static_shape(node.outputs[0])
    index = constant(node.inputs[1])
    if shape is None or result is None or len(shape) < _DEEP or shape[-1] > _NARROW:
        return False
    axis = node.attributes.get_int("axis", 0) % len(shape)
    behind = prod(shape[axis + 1 :])
    if index is None or index.size != 1 or behind == 1 or axis == 0 or 0 in shape:
        return False
    place = int(index.reshape(-1)[0]) % shape[axis]
    rows = edit.op("Reshape", node.inputs[0], integers(prod(shape[:axis]), shape[axis] * behind))
    ends = (integers(place * behind), integers((place + 1) * behind))
    return edit.op("Reshape", edit.op("Slice", rows, *ends, integers(1)), integers(*result))
