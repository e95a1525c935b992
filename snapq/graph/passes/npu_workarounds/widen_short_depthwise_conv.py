"""Writes a short depthwise convolution as the NPU computes it rightly.

At 8 bits, Qualcomm's runtime (QAIRT 2.51) computes one of stride 2 with one or two taps wrongly
where its channels are 1 to 4 more than a multiple of 32.

1. Such a kernel gets zeros behind it, up to three taps, and the input as much padding.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, ints_attribute
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape

OPERATORS = ("Conv",)

_RIGHT_TAPS = 3
_LANES, _WRONG_REST = 32, range(1, 5)
"""Channels that the NPU computes at once, and the rest of them that it computes wrongly."""


def apply(node: ir.Node, edit: Editor) -> Result:
    """Makes one depthwise convolution exact."""
    shape, weight = static_shape(node.inputs[0]), constant(node.inputs[1])
    automatic = node.attributes.get_string("auto_pad", "NOTSET") != "NOTSET"
    if shape is None or weight is None or automatic:
        return False
    channels, dims = shape[1], weight.ndim - 2
    if channels == 1 or node.attributes.get_int("group", 1) != channels:
        return False
    dilated = any(step != 1 for step in ints_attribute(node, "dilations") or ())
    if channels % _LANES not in _WRONG_REST or dilated:
        return False
    strides = ints_attribute(node, "strides") or (1,) * dims
    zeros = [
        max(0, _RIGHT_TAPS - taps) if stride == 2 else 0
        for taps, stride in zip(weight.shape[2:], strides, strict=True)
    ]
    if not any(zeros):
        return False
    pads = list(ints_attribute(node, "pads") or (0,) * 2 * dims)
    for axis, more in enumerate(zeros):
        pads[dims + axis] += more
    room = [(0, 0), (0, 0), *((0, more) for more in zeros)]
    edit.set_constant(node, 1, np.pad(weight, room))
    taps_now = [taps + more for taps, more in zip(weight.shape[2:], zeros, strict=True)]
    node.attributes["kernel_shape"] = ir.AttrInt64s("kernel_shape", taps_now)
    node.attributes["pads"] = ir.AttrInt64s("pads", pads)
    return True
