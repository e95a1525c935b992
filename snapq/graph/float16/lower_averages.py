"""Writes means over windows as a depthwise Conv.

1. `AveragePool(x)` becomes a depthwise Conv of weights `1 / window`, and a Mul that makes up for
   padding that does not count, unless its windows lie side by side without padding (not those of 9,
   18, … taps, nor those of more than 9 that leave part of the map), one window covers the map, or
   they are 3 x 3 or 5 x 5 with a stride of 1 or 2 over 32 channels or more and a larger map.

The NPU leaves much of such a pool's output unwritten, or divides by a wrong count: -3 to 15 dB of
padded windows with strides of 4, of 9 taps and more, over fewer than 32 channels, and of some that
have no padding (maps of 15 x 9), where it depends on the number of channels and the map; a Conv has
70 dB and takes as long (simulator and estimate of QAIRT 2.51, fp16, v73 to v85).
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor
from snapq.graph.passes.base import Result
from snapq.graph.passes.npu_workarounds.average_by_conv import average_by_conv
from snapq.graph.passes.npu_workarounds.legalize_pools import Windows, windows
from snapq.graph.shapes import static_shape

OPERATORS = ("AveragePool",)

_WRONG_TAPS = 9
"""Windows of which, and of multiples, are wrong."""
_CHANNELS = 32
_TAPS, _STRIDES = (3, 5), (1, 2)
"""Of square windows that the NPU computes rightly from so many channels on."""


def apply(node: ir.Node, edit: Editor) -> Result:
    """Rewrites one pool."""
    shape = static_shape(node.inputs[0])
    found = windows(node, shape)
    if shape is None or found is None:
        return False
    if shape[1] >= _CHANNELS and np.all(found.sizes > found.spans) and _usual(found):
        return False
    padded = np.any(found.before) or np.any(found.needed)
    aside = np.array_equal(found.spans, found.strides) and bool(np.all(found.spans % _WRONG_TAPS))
    fills = not np.any(found.sizes % found.spans) or found.spans.max() < _WRONG_TAPS
    whole = np.array_equal(found.spans, found.sizes)
    if not padded and ((aside and fills) or whole):
        return False
    return average_by_conv(node, edit)


def _usual(found: Windows) -> bool:
    spans, strides = set(found.spans.tolist()), set(found.strides.tolist())
    return len(spans) == len(strides) == 1 and spans <= {*_TAPS} and strides <= {*_STRIDES}
