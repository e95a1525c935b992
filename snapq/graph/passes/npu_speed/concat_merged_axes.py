"""Joins tensors along the axis that a Reshape merges a new one into.

1. `Reshape(Concat([a, b], axis=k))` with a and b of `[…, 1, m, …]`, 1 at axis k, and a result of
   `[…, 2 m, …]` = `Concat([a', b'], axis=k)` of a' and b' of `[…, m, …]`.

So deformable attention stacks what it sampled of each level. Estimated in us on QCS9075 and SA8797P
(QAIRT 2.51) in fp16, three levels for 336 queries, 4 heads and 4 points, sampled: 8,322 and 201
against 371 and 129.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, integers
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape

OPERATORS = ("Concat",)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Rewrites one Concat and the Reshape behind it."""
    stacked = node.outputs[0]
    users = [user for user, _ in stacked.uses()]
    if len(users) != 1 or users[0].op_type != "Reshape" or stacked.is_graph_output():
        return False
    shapes = [static_shape(value) for value in node.inputs]
    merged = static_shape(users[0].outputs[0])
    first = shapes[0]
    if first is None or merged is None:
        return False
    axis = node.attributes.get_int("axis", 0) % len(first)
    if axis == len(first) - 1 or any(shape is None or shape[axis] != 1 for shape in shapes):
        return False
    parts = (*first[:axis], *first[axis + 1 :])
    whole = (*parts[:axis], len(shapes) * parts[axis], *parts[axis + 1 :])
    if merged != whole:
        return False
    edit.begin(node)
    taken = [edit.op("Reshape", value, integers(*parts)) for value in node.inputs]
    joined = edit.op("Concat", *taken, axis=axis)
    edit.replace(users[0].outputs[0], joined)
    return True
