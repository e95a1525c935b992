"""Reduces many elements in two steps.

1. A ReduceMean or ReduceSum of more than 32,768 elements becomes one over part of its axes, the
   last ones first, and one over all of them.
2. An axis longer than that is divided in two by a Reshape in front.
3. So does a ReduceMean over several axes of a tensor of 4,194,304 elements or more.

Of integers of 16 bits, the NPU gives 0 as soon as the codes add up to 2^31, whatever their zero
point; in fp16 a mean over several axes of a tensor that large is too small by a factor (both 0 dB,
and 66 or more in two steps; simulator of QAIRT 2.51, v68 to v85).
"""

from __future__ import annotations

from math import prod

import onnx_ir as ir

from snapq.graph.edit import Editor, integers, is_float, reduced_axes
from snapq.graph.passes.base import Result, Skipped
from snapq.graph.shapes import Shape, static_shape

OPERATORS = ("ReduceMean", "ReduceSum")

_MOST = 2**15
"""Elements whose 16-bit codes cannot add up to 2^31."""
_LARGE_TENSOR = 2**22
_RANK = 5
"""Dimensions that the NPU takes."""


def apply(node: ir.Node, edit: Editor) -> Result:
    """Splits one reduction."""
    source, shape, axes = node.inputs[0], static_shape(node.inputs[0]), reduced_axes(node)
    if source is None or not is_float(source) or shape is None or not axes:
        return False
    long = tuple(axis for axis in axes if shape[axis] > 1)
    count = prod(shape[axis] for axis in long)
    large = node.op_type == "ReduceMean" and len(long) > 1 and prod(shape) >= _LARGE_TENSOR
    if count <= _MOST and not large:
        return False
    if len(long) == 1:
        return _divided(node, source, shape, long[0], edit)
    inner = _first_step(shape, long)
    part = edit.op(node.op_type, source, integers(*inner), keepdims=1)
    keep = node.attributes.get_int("keepdims", 1)
    return edit.op(node.op_type, part, integers(*axes), keepdims=keep)


def _first_step(shape: Shape, axes: tuple[int, ...]) -> tuple[int, ...]:
    """The last axes, as many as stay below the limit, but not all; at least one."""
    chosen = axes[-1:]
    for axis in reversed(axes[1:-1]):
        if prod(shape[one] for one in (*chosen, axis)) > _MOST:
            break
        chosen = (axis, *chosen)
    return chosen


def _divided(node: ir.Node, source: ir.Value, shape: Shape, axis: int, edit: Editor) -> Result:
    size = shape[axis]
    parts = [part for part in range(2, int(size**0.5) + 1) if size % part == 0]
    if not parts or len(shape) >= _RANK:
        return Skipped(f"its axis of {size:,} elements cannot be divided for the NPU")
    first = max(parts)
    split = edit.op(
        "Reshape", source, integers(*shape[:axis], first, size // first, *shape[axis + 1 :])
    )
    part = edit.op(node.op_type, split, integers(axis + 1), keepdims=0)
    keep = node.attributes.get_int("keepdims", 1)
    axes = reduced_axes(node) or (axis,)
    return edit.op(node.op_type, part, integers(*axes), keepdims=keep)
