"""Computes strided depthwise convolutions of several samples sample by sample.

1. A depthwise `Conv(x)` with a stride, over maps of 3 to 64 samples, becomes one for each sample,
   and a Concat of what they give.

Values are the same. Estimated in us on QCS9075, SA8797P and SoC 114 (QAIRT 2.51, fp16), 3 x 3 with
stride 2 over 4 samples of 128 maps of 56 x 56 between two other Convs: 836, 124 and 111 together,
258, 116 and 113 sample by sample; of 8 samples 1,578, 190 and 171 against 440, 193 and 176. Of two
samples, and without a stride, it makes no difference.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, ints_attribute
from snapq.graph.passes.base import Result
from snapq.graph.passes.npu_workarounds.widen_strided_conv import sample_by_sample
from snapq.graph.shapes import static_shape

OPERATORS = ("Conv",)

_SAMPLES = range(3, 65)
_MAP = 4


def apply(node: ir.Node, edit: Editor) -> Result:
    """Takes one convolution apart."""
    shape = static_shape(node.inputs[0])
    made = static_shape(node.outputs[0])
    if shape is None or made is None or len(shape) != _MAP:
        return False
    depthwise = node.attributes.get_int("group", 1) == shape[1] == made[1] > 1
    if (
        shape[0] not in _SAMPLES
        or not depthwise
        or max(ints_attribute(node, "strides") or (1,)) == 1
    ):
        return False
    return sample_by_sample(node, shape, made, edit)
