"""Writes a Pad that repeats borders as Concats.

1. `Pad(x)` of mode `edge` becomes a Concat of x with its first and last slices, axis by axis.

Qualcomm's runtime (QAIRT 2.51, v68 to v81) repeats the wrong elements where one axis is padded by
three or more, or the map has one row or column (3 to 7 dB in 16 bits and fp16). In fp16 every Pad
over two axes is garbage (-78 to -95 dB; 73 as Concats), and at 16 bits some are (-5 dB).
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, integers, pad_widths
from snapq.graph.passes.base import Result, Skipped
from snapq.graph.shapes import static_shape

OPERATORS = ("Pad",)

_MOST = 32
"""Slices that one Concat takes on a side."""


def apply(node: ir.Node, edit: Editor) -> Result:
    """Rewrites one Pad."""
    source, shape = node.inputs[0], static_shape(node.inputs[0])
    if node.attributes.get_string("mode", "constant") != "edge":
        return False
    widths = None if shape is None else pad_widths(node, len(shape))
    if source is None or shape is None or widths is None or 0 in shape:
        return False
    if min(min(width) for width in widths) < 0:
        return Skipped("it takes elements away on one side")
    if max(max(width) for width in widths) > _MOST:
        return Skipped(f"it repeats more than {_MOST} elements")
    value = source
    for axis, (before, after) in enumerate(widths):
        if before or after:
            first, last = (_slice(value, axis, at, shape[axis], edit) for at in (0, -1))
            value = edit.op("Concat", *[first] * before, value, *[last] * after, axis=axis)
    return value


def _slice(value: ir.Value, axis: int, at: int, length: int, edit: Editor) -> ir.Value:
    """The first or the last element along an axis."""
    if length == 1:
        return value
    start = at % length
    return edit.op("Slice", value, integers(start), integers(start + 1), integers(axis))
