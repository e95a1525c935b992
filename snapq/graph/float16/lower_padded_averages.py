"""Writes means over windows with padding as a depthwise Conv.

1. `AveragePool(x)` with padding, of fewer than 32 channels, over a map no longer than a window, or
   with windows of 2, 4, 6 or 7 without strides, becomes a depthwise Conv of weights `1 / window`,
   and a Mul that makes up for padding that does not count.

The NPU leaves most of such a pool's output unwritten: windows of 3 x 3 over 56 x 56 elements and 16
channels have -2 dB, and 70 as a Conv (simulator of QAIRT 2.51, fp16, v73 to v81). Without padding,
or from 32 channels on, they are right, but for those windows (-1 to -2 dB, QCS9075).
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor
from snapq.graph.passes.base import Result
from snapq.graph.passes.npu_workarounds.average_by_conv import average_by_conv
from snapq.graph.passes.npu_workarounds.legalize_pools import windows
from snapq.graph.shapes import static_shape

OPERATORS = ("AveragePool",)

_RIGHT_CHANNELS = 32
_WRONG_TAPS = (2, 4, 6, 7)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Rewrites one pool."""
    shape = static_shape(node.inputs[0])
    found = windows(node, shape)
    if shape is None or found is None or not (np.any(found.before) or np.any(found.after)):
        return False
    wrong = np.isin(found.spans, _WRONG_TAPS) & (found.strides == 1)
    if shape[1] >= _RIGHT_CHANNELS and np.all(found.sizes > found.spans) and not np.any(wrong):
        return False
    return average_by_conv(node, edit)
