"""Writes comparisons of truth values, which the NPU refuses, with operators of logic.

1. `Equal(a, True)` = a and `Equal(a, False)` = `Not(a)`, where a has the shape of the result.
2. `Equal(a, b)` of truth values = `Not(Xor(a, b))`.

PyTorch's exporter writes a division of computed whole numbers, `index // width`, with one.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, constant, same_shape
from snapq.graph.passes.base import Result

OPERATORS = ("Equal",)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Writes one comparison with Not and Xor."""
    first, second = node.inputs
    if first is None or second is None or first.dtype != ir.DataType.BOOL:
        return False
    for value, other in ((first, second), (second, first)):
        known = constant(other)
        if known is None or not same_shape(value, node.outputs[0]):
            continue
        if known.all():
            return value
        if not known.any():
            return edit.op("Not", value)
    return edit.op("Not", edit.op("Xor", first, second))
