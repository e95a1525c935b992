"""Makes one Transpose of two.

1. `Transpose(Transpose(x, p), q)` becomes `Transpose(x, p[q])`; remove_no_ops takes it away where
   it moves nothing.
2. `Transpose` that only moves dimensions of size 1 becomes a Reshape.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, integers, permutation, producer
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape

OPERATORS = ("Transpose",)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Merges one Transpose with the one in front of it."""
    order = permutation(node)
    if not order:
        return False
    shape, result = static_shape(node.inputs[0]), static_shape(node.outputs[0])
    if shape is not None and result is not None and list(order) != sorted(order):
        moved = [axis for axis in order if shape[axis] != 1]
        if moved == sorted(moved):
            return edit.op("Reshape", node.inputs[0], integers(*result))
    before = producer(node.inputs[0], "Transpose")
    first = permutation(before) if before is not None else ()
    if before is None or not first:
        return False
    merged = [first[axis] for axis in order]
    return edit.op("Transpose", before.inputs[0], perm=merged)
