"""Removes parts without elements, which the NPU refuses.

1. `Split` loses outputs of size 0 along its axis that nothing reads; with one output left, that is
   its input.
2. `Concat` loses inputs of size 0 along its axis; where all are, it stays.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, is_op
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape

OPERATORS = ("Split", "Concat")


def apply(node: ir.Node, edit: Editor) -> Result:
    """Takes the empty parts off one Split or Concat."""
    axis = node.attributes.get_int("axis", 0)
    if is_op(node, "Split"):
        return _split(node, axis, edit)
    full = [value for value in node.inputs if value is None or _size(value, axis) != 0]
    if not full or len(full) == len(node.inputs):
        return False
    return full[0] if len(full) == 1 else edit.op("Concat", *full, axis=axis)


def _split(node: ir.Node, axis: int, edit: Editor) -> bool:
    source = node.inputs[0]
    sizes = {value: _size(value, axis) for value in node.outputs}
    full = [value for value, size in sizes.items() if size != 0 or _is_read(value)]
    kept = [size for value in full if (size := sizes[value]) is not None]
    if source is None or not full or len(full) == len(sizes) or len(kept) < len(full):
        return False
    if len(full) == 1:
        edit.replace(full[0], source)
        return True
    made = edit.ops("Split", source, np.array(kept, np.int64), outputs=len(full), axis=axis)
    for old, new in zip(full, made, strict=True):
        edit.replace(old, new)
    return True


def _size(value: ir.Value, axis: int) -> int | None:
    shape = static_shape(value)
    return None if shape is None else shape[axis]


def _is_read(value: ir.Value) -> bool:
    return bool(value.uses()) or value.is_graph_output()
