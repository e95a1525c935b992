"""Writes a short depthwise convolution as the NPU computes it rightly.

At 8 bits, Qualcomm's runtime (QAIRT 2.51) computes one of stride 2 with one or two taps wrongly
where its channels are 1 to 4 more than a multiple of 32. In fp16 it computes one of a single tap
with strides, of more than 32 channels, wrongly (-13 to 5 dB, simulated on v73 to v85; right with
strides of 2 and 2).

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
    strides = tuple(ints_attribute(node, "strides") or (1,) * dims)
    wrong = {2} if channels % _LANES in _WRONG_REST else set[int]()
    if channels > _LANES and max(weight.shape[2:]) == 1 and strides != (2, 2):
        wrong = set(strides) - {1}
    zeros = [
        max(0, _RIGHT_TAPS - taps) if stride in wrong else 0
        for taps, stride in zip(weight.shape[2:], strides, strict=True)
    ]
    if dilated or not any(zeros):
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
