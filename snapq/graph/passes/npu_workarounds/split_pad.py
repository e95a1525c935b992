"""Writes a Pad of which the NPU leaves the last column unwritten as it computes it rightly.

It is one behind the last axis, with nothing in front of that.

1. Of zeros behind columns, or rows and columns, of an image, unless a product or a normalization
   reads them = a depthwise Conv of one tap of 1, with padding, one for every 256 channels.
2. Any other = Reshape to a last axis of size 1, Pad, Reshape; where 5 dimensions are enough. Two
   Pads, one of the last axis, are compiled as one, and as wrong.

Source: see `snapq.graph.passes.padding`.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, input_at, integers, is_float, pad_widths, scalar
from snapq.graph.passes.base import Result, Skipped
from snapq.graph.passes.padding import leaves_a_column, pads_rows, zero_padded
from snapq.graph.shapes import static_shape
from snapq.operators import MAX_RANK

OPERATORS = ("Pad",)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Makes one Pad exact."""
    source, shape = node.inputs[0], static_shape(node.inputs[0])
    result = static_shape(node.outputs[0])
    if source is None or not shape or result is None or 0 in shape:
        return False
    widths = pad_widths(node, len(shape))
    if widths is None or node.attributes.get_string("mode", "constant") != "constant":
        return False
    before, after = zip(*widths, strict=True)
    if min(after) < 0 or not leaves_a_column(before, after):
        return False
    filling = input_at(node, 2)
    zero = filling is None or scalar(filling) == 0
    image = len(shape) == 4 and not any((*before, *after[:2]))
    image = image and not pads_rows(node, before, after)
    if image and zero and is_float(source):
        return zero_padded(source, before[2:], after[2:], edit)
    if len(shape) >= MAX_RANK:
        return Skipped(f"it has {len(shape)} dimensions, and one more is needed")
    deep = edit.op("Reshape", source, integers(*shape, 1))
    padded = edit.op("Pad", deep, integers(*before, 0, *after, 0), filling)
    return edit.op("Reshape", padded, integers(*result))
