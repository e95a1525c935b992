"""Writes a depthwise convolution of stride 2 as the NPU computes it rightly at 8 bits.

Where its channels are 1 to 4 more than a multiple of 32, Qualcomm's runtime (QAIRT 2.51) computes
one of stride 2 wrongly with one or two taps (-9 dB), and with strides of 2 and 2 and eight taps or
more along an axis (-10 to 20 dB; simulated on v73 to v85, as what follows).

1. One or two taps get zeros behind them, up to three taps, and the input as much padding.
2. Eight and more taps get channels of zeros, up to five more than the multiple, which a Slice takes
   away again.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, input_at, integers, ints_attribute
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape

OPERATORS = ("Conv",)

_STRIDE = 2
_SHORT, _LONG = 2, 8
"""Taps: so few and less, so many and more are wrong."""
_LANES, _WRONG_REST = 32, range(1, 5)
"""Channels that the NPU computes at once, and the rest of them that it computes wrongly."""


def apply(node: ir.Node, edit: Editor) -> Result:
    """Makes one depthwise convolution exact."""
    shape, weight = static_shape(node.inputs[0]), constant(node.inputs[1])
    automatic = node.attributes.get_string("auto_pad", "NOTSET") != "NOTSET"
    if shape is None or weight is None or automatic:
        return False
    channels, taps = shape[1], weight.shape[2:]
    if node.attributes.get_int("group", 1) != channels or channels % _LANES not in _WRONG_REST:
        return False
    dilated = any(step != 1 for step in ints_attribute(node, "dilations") or ())
    strides = tuple(ints_attribute(node, "strides") or (1,) * len(taps))
    if dilated or _STRIDE not in strides:
        return False
    zeros = [
        max(0, _SHORT + 1 - count) if stride == _STRIDE else 0
        for count, stride in zip(taps, strides, strict=True)
    ]
    if channels != 1 and any(zeros):
        add_taps(node, weight, zeros, edit)
        return True
    if strides == (_STRIDE, _STRIDE) and max(taps) >= _LONG and len(weight) == channels:
        return _with_channels(node, shape, weight, edit)
    return False


def add_taps(node: ir.Node, weight: np.ndarray, zeros: list[int], edit: Editor) -> None:
    """Puts zeros behind the taps of a convolution, and as much padding behind what it reads.

    Args:
        node: a Conv without dilations, changed in place.
        weight: of the convolution, `[out, in, *taps]`.
        zeros: how many, along each axis.
        edit: of the graph.
    """
    dims = len(zeros)
    pads = list(ints_attribute(node, "pads") or (0,) * 2 * dims)
    for axis, more in enumerate(zeros):
        pads[dims + axis] += more
    filled = np.pad(weight, [(0, 0), (0, 0), *((0, more) for more in zeros)])
    edit.set_constant(node, 1, filled)
    node.attributes["kernel_shape"] = ir.AttrInt64s("kernel_shape", filled.shape[2:])
    node.attributes["pads"] = ir.AttrInt64s("pads", pads)


def _with_channels(
    node: ir.Node, shape: tuple[int, ...], weight: np.ndarray, edit: Editor
) -> Result:
    bias = input_at(node, 2)
    biases = None if bias is None else constant(bias)
    if (bias is None) != (biases is None):
        return False
    channels = shape[1]
    more = _WRONG_REST.stop - channels % _LANES
    pads = integers(0, 0, 0, 0, 0, more, 0, 0)
    source = edit.op("Pad", node.inputs[0], pads)
    filled = [np.pad(weight, [(0, more), *[(0, 0)] * 3], mode="edge")]
    if biases is not None:
        filled.append(np.pad(biases, (0, more)))
    attributes = {a.name: a.value for a in node.attributes.values() if a.name != "group"}
    wide = edit.op("Conv", source, *filled, group=channels + more, **attributes)
    return edit.op("Slice", wide, integers(0), integers(channels), integers(1))
