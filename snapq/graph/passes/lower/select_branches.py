"""Writes an If that data decides as both of its branches and a choice between what they give.

1. `If(c)` of which every output has a fixed shape becomes `Where(c, then, else)` over the outputs
   of both branches, which are computed in any case: the NPU has no branches.
2. Where the branches give other shapes, or sequences, it is left alone.

Source: the ONNX operators If-21 and Where-16.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, adopt_copy, integers
from snapq.graph.passes.base import Result, Skipped
from snapq.graph.shapes import static_shape

OPERATORS = ("If",)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Computes both branches of one If."""
    condition = node.inputs[0]
    if condition is None or condition.const_value is not None:
        return False
    shapes = [static_shape(output) for output in node.outputs]
    if any(shape is None for shape in shapes) or static_shape(condition) is None:
        return Skipped("the shapes of its outputs depend on the branch or on data")
    either = [
        adopt_copy(node.attributes[name].as_graph(), (), edit)
        for name in ("then_branch", "else_branch")
    ]
    chooses = edit.op("Reshape", condition, integers(1)) if static_shape(condition) else condition
    for output, shape, then, other in zip(node.outputs, shapes, *either, strict=True):
        pick = edit.op("Reshape", condition, integers()) if not shape else chooses
        edit.replace(output, edit.op("Where", pick, then, other))
    return True
