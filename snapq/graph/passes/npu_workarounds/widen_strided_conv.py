"""Writes Convs with strides whose taps, or padding, the NPU does not compute as they are.

1. One of 9 x 9 taps with strides of 2 and 2 gets a column of zeros behind them, and the input as
   much padding. So does one of 3 x 3 with strides of 4 and 4 and two columns of padding in front.
2. One of 9 columns or more with strides of 2 and 2, over 2 to 16 samples, is computed sample by
   sample.

As they are their output has nothing to do with their input (QAIRT 2.51, simulated on QCS9075 and
SA8797P): 9 x 9 taps from 32 channels on in fp16 (-98 to 0 dB), at 16 bits (-6 dB), and with padding
over 3 channels at 8 bits too (-3 dB); several samples at 16 bits (-10 to -1 dB, or they are
not compiled). What has 3 x 3 taps is compiled, and does not execute in fp16 and at 16 bits.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, constant, input_at, ints_attribute
from snapq.graph.passes.base import Result
from snapq.graph.passes.npu_workarounds.widen_depthwise_conv import add_taps
from snapq.graph.shapes import Shape, static_shape

OPERATORS = ("Conv",)

_TAPS = 9
_STRIDES = (2, 2)
_WIDE = ((9, 9), _STRIDES)
_SMALL, _PADDING = ((3, 3), (4, 4)), 2
"""Taps and strides that are wrong, the small ones with so many columns of padding in front."""
_MOST_SAMPLES = 16


def apply(node: ir.Node, edit: Editor) -> Result:
    """Makes one layer exact."""
    shape, made = static_shape(node.inputs[0]), static_shape(node.outputs[0])
    weight = constant(node.inputs[1])
    automatic = node.attributes.get_string("auto_pad", "NOTSET") != "NOTSET"
    if shape is None or made is None or weight is None or automatic:
        return False
    dilated = any(step != 1 for step in ints_attribute(node, "dilations") or ())
    taps, strides = weight.shape[2:], tuple(ints_attribute(node, "strides") or ())
    front = (ints_attribute(node, "pads") or (0, 0))[:2]
    widened = (taps, strides) == _WIDE or ((taps, strides) == _SMALL and front[-1] == _PADDING)
    if dilated or not (widened or strides == _STRIDES):
        return False
    if widened:
        add_taps(node, weight, [0, 1], edit)
    if strides == _STRIDES and 2 <= shape[0] <= _MOST_SAMPLES and weight.shape[-1] >= _TAPS:
        return sample_by_sample(node, shape, made, edit)
    return widened


def sample_by_sample(node: ir.Node, shape: Shape, made: Shape, edit: Editor) -> ir.Value:
    """A convolution of each sample by itself, and a Concat of what they give.

    Args:
        node: a Conv.
        shape: of its input, `[N, C, *places]` with N of 2 and more.
        made: of its output.
        edit: of the graph.
    """
    source = node.inputs[0]
    assert source is not None
    samples = edit.ops("Split", source, outputs=shape[0], axis=0, num_outputs=shape[0])
    parts = []
    for sample in samples:
        sample.shape, sample.type = ir.Shape((1, *shape[1:])), source.type
        part = edit.op("Conv", sample, node.inputs[1], input_at(node, 2))
        part.shape, part.type = ir.Shape((1, *made[1:])), source.type
        conv = part.producer()
        assert conv is not None
        for name, attribute in node.attributes.items():
            conv.attributes[name] = attribute
        parts.append(part)
    return edit.op("Concat", *parts, axis=0)
