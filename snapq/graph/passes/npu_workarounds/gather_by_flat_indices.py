"""Picks of a row of numbers, in one dimension.

1. `Gather(x, i)` of x with one dimension, by indices of four dimensions or more =
   `Reshape(Gather(x, Reshape(i, [-1])), shape of i)`.

PyTorch exports `as_strided` so, which it writes for the mean of a map that is one pixel. The NPU's
compiler does not take it in all networks (QAIRT 2.51, v73 and v75, fp16 and 8 bits).
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, constant, integers, rank
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape

OPERATORS = ("Gather",)
_DEEP = 4


def apply(node: ir.Node, edit: Editor) -> Result:
    """Rewrites one Gather."""
    source, indices = node.inputs[:2]
    shape = static_shape(indices)
    if rank(source) != 1 or shape is None or len(shape) < _DEEP or 0 in shape:
        return False
    places = constant(indices)
    if places is None:
        flat = edit.op("Gather", source, edit.op("Reshape", indices, integers(-1)), axis=0)
    else:
        flat = edit.op("Gather", source, places.reshape(-1), axis=0)
    return edit.op("Reshape", flat, integers(*shape))
