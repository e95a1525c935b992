"""Computes a strided Conv of one channel to one twice, and takes the first.

1. `Conv(x)` of one channel to one with a stride of 3 or more, over 1 or 2 axes and of at most 8
   taps along each, has its weights twice, and a Slice takes the first of both channels.

The NPU does not compute it: such a layer, as one that resamples audio or thins a mask, has -84 dB,
and of two channels 70 (simulator of QAIRT 2.51, fp16, v73 to v85). Of 9 and more taps along any
axis, with strides of 2 and over volumes it is right.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, input_at, integers, ints_attribute
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape

OPERATORS = ("Conv",)

_STRIDE, _TAPS = 3, 8
_AXES = (1, 2)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Doubles one convolution."""
    weight, bias = node.inputs[1], input_at(node, 2)
    taps = static_shape(weight)
    if weight is None or taps is None or taps[:2] != (1, 1) or len(taps) - 2 not in _AXES:
        return False
    if max(ints_attribute(node, "strides") or (1,)) < _STRIDE or max(taps[2:]) > _TAPS:
        return False
    attributes = {a.name: a.value for a in node.attributes.values()}
    twice = [None if part is None else _twice(part, edit) for part in (weight, bias)]
    both = edit.op("Conv", node.inputs[0], *twice, **attributes)
    return edit.op("Slice", both, integers(0), integers(1), integers(1))


def _twice(value: ir.Value, edit: Editor) -> ir.Value | np.ndarray:
    array = constant(value)
    return edit.op("Concat", value, value, axis=0) if array is None else np.repeat(array, 2, axis=0)
