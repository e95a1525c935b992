"""Gives a strided depthwise convolution taps of zeros, of which the NPU computes as many rightly.

Over 32 channels or more:

1. Of strides of 4 and 4, `Conv(x)` of 1 x 1 or 3 x 3 taps gets one zero more along both axes, and
   the input as much padding.
2. Of strides of 2 and 2, one of 9 x 9 taps, as a mean that is written as a Conv, gets a column.
3. Of other strides, one of a single tap gets two along each axis with strides.

Their output has nothing to do with their input (-99 to 12 dB, and 67 to 71 so; simulator of QAIRT
2.51, fp16, v73 to v85). Strides of 2 and 2 with a single tap are right.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, constant, ints_attribute
from snapq.graph.passes.base import Result
from snapq.graph.passes.npu_workarounds.widen_depthwise_conv import add_taps
from snapq.graph.shapes import static_shape

OPERATORS = ("Conv",)

_LANES = 32
_AXES = 2
"""Of a picture."""


def apply(node: ir.Node, edit: Editor) -> Result:
    """Widens one convolution."""
    shape, weight = static_shape(node.inputs[0]), constant(node.inputs[1])
    if shape is None or weight is None or shape[1] < _LANES:
        return False
    if node.attributes.get_int("group", 1) != shape[1]:
        return False
    taps = weight.shape[2:]
    strides = tuple(ints_attribute(node, "strides") or (1,) * len(taps))
    dilated = max(taps) > 1 and max(ints_attribute(node, "dilations") or (1,)) > 1
    zeros = () if dilated else _missing(taps, strides)
    if not any(zeros):
        return False
    add_taps(node, weight, list(zeros), edit)
    return True


def _missing(taps: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, ...]:
    """How many taps a convolution lacks along each axis."""
    if (taps, strides) == ((9, 9), (2, 2)):
        return 0, 1
    if strides == (4, 4) and taps in {(1, 1), (3, 3)}:
        return 1, 1
    if max(taps) == 1 and strides not in {(2,) * _AXES, (1,) * len(taps)}:
        return tuple(2 if stride > 1 else 0 for stride in strides)
    return ()
