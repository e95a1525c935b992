"""Gives a Conv of one window along an axis no stride there.

1. `Conv(x)` whose output has one element along an axis that its window covers whole, with padding,
   has stride 1 along it.

A depthwise Conv of one channel with a stride that goes beyond the map is garbage in fp16 (-84 dB;
80 without the stride; simulator of QAIRT 2.51, v73 to v81).
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, constant, ints_attribute
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape

OPERATORS = ("Conv",)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Changes the strides of one Conv."""
    del edit
    shape, weight = static_shape(node.inputs[0]), constant(node.inputs[1])
    strides, pads = ints_attribute(node, "strides"), ints_attribute(node, "pads")
    if shape is None or weight is None or strides is None or max(strides) == 1:
        return False
    if node.attributes.get_string("auto_pad", "NOTSET") != "NOTSET":
        return False
    count = weight.ndim - 2
    widths = pads or (0,) * 2 * count
    steps = ints_attribute(node, "dilations") or (1,) * count
    changed = [
        1 if shape[2 + i] + widths[i] + widths[count + i] == (taps - 1) * step + 1 else stride
        for i, (taps, step, stride) in enumerate(zip(weight.shape[2:], steps, strides, strict=True))
    ]
    if changed == list(strides):
        return False
    node.attributes["strides"] = ir.AttrInt64s("strides", changed)
    return True
