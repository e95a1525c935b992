"""Writes sequences of tensors, which the NPU has not, as tensors.

1. `SequenceAt(SequenceConstruct(a, b, ...), i)` with a constant i becomes the i-th input.
2. `SequenceAt(SplitToSequence(x), i)` with constant parts becomes a Slice of x.
3. `ConcatFromSequence(SequenceConstruct(a, b, ...))` becomes a Concat, of Unsqueezes where it
   makes a new axis.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, constant_ints, input_at, integers, producer, rank
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape

OPERATORS = ("SequenceAt", "ConcatFromSequence")


def apply(node: ir.Node, edit: Editor) -> Result:
    """Replaces what one node takes from a sequence."""
    return _concat(node, edit) if node.op_type == "ConcatFromSequence" else _at(node, edit)


def _at(node: ir.Node, edit: Editor) -> ir.Value | None:
    position = constant_ints(node.inputs[1])
    made = producer(node.inputs[0], "SequenceConstruct")
    if position is None:
        return None
    if made is not None:
        return made.inputs[position[0]]
    split = producer(node.inputs[0], "SplitToSequence")
    shape = static_shape(split.inputs[0]) if split is not None else None
    if split is None or shape is None:
        return None
    axis = split.attributes.get_int("axis", 0) % len(shape)
    given = input_at(split, 1)
    sizes = constant_ints(given) if given is not None else (1,)
    if sizes is None:
        return None
    if given is None or rank(given) == 0:
        whole, rest = divmod(shape[axis], sizes[0])
        sizes = (*[sizes[0]] * whole, *([rest] if rest else []))
    index = position[0] % len(sizes)
    start = sum(sizes[:index])
    part = edit.op(
        "Slice", split.inputs[0], integers(start), integers(start + sizes[index]), integers(axis)
    )
    if given is None and not split.attributes.get_int("keepdims", 1):
        return edit.op("Squeeze", part, integers(axis))
    return part


def _concat(node: ir.Node, edit: Editor) -> ir.Value | None:
    made = producer(node.inputs[0], "SequenceConstruct")
    if made is None:
        return None
    axis = node.attributes.get_int("axis", 0)
    parts = list(made.inputs)
    if node.attributes.get_int("new_axis", 0):
        parts = [edit.op("Unsqueeze", part, integers(axis)) for part in parts]
    return edit.op("Concat", *parts, axis=axis)
