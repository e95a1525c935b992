"""Gives a Conv over one short row a column more than it needs.

1. `Conv(x)` over a single row of 8 k elements, which it keeps, padded on either side by more than
   k, has one more element of padding behind, and a Slice takes the last column away.

The NPU leaves part of it unwritten: 5 taps over 8 elements, 7 over 16 or 9 over 24 have 1 to 5 dB,
and 70 so (simulator of QAIRT 2.51, fp16, v73 to v81). A Pad in front does not help.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, integers, ints_attribute
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape

OPERATORS = ("Conv",)

_COLUMNS = 8


def apply(node: ir.Node, edit: Editor) -> Result:
    """Widens one convolution."""
    shape, result = static_shape(node.inputs[0]), static_shape(node.outputs[0])
    pads = ints_attribute(node, "pads")
    if shape is None or result is None or not pads or len(shape) not in (3, 4):
        return False
    length = shape[-1]
    rows_before, count = shape[2:-1], len(shape) - 2
    kept = result[2:] == shape[2:] and all(size == 1 for size in rows_before)
    least = min(pads[count - 1], pads[-1])
    if not kept or length % _COLUMNS or least <= length // _COLUMNS:
        return False
    attributes = {a.name: a.value for a in node.attributes.values()}
    attributes["pads"] = (*pads[:-1], pads[-1] + 1)
    wide = edit.op("Conv", *node.inputs, **attributes)
    last = len(shape) - 1
    return edit.op("Slice", wide, integers(0), integers(length), integers(last))
