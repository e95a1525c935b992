"""Writes means that the NPU computes wrongly as a depthwise Conv.

1. `AveragePool(x)` with padding, where the map has fewer rows or columns than a window, becomes a
   depthwise Conv of weights `1 / window`, and a Mul that makes up for padding that does not count.
   Where one window holds the whole map, it becomes a ReduceMean and such a Mul.
2. So does one whose window has 8 taps along an axis without strides, or 2 with padding and a stride
   of 2.

Qualcomm's runtime (QAIRT 2.51) divides by a wrong count: means of 3 x 3 over a map of 1 x 1 have
2.5 dB in 8 bits, 16 bits and fp16, those of 5 x 5 over 3 x 3 have 9.5 dB in 8 bits, and written as
a Conv what the CPU has (v68 to v81). On QCS9075, simulated, those of 8 taps have -2 to 8 dB in 8
bits and fp16, those of 2 have -2 dB in fp16 over some widths. Means of 9 x 9 and of 17 x 17 over
4 x 4 (the pyramid of DDRNet, of small pictures) are estimated at 175 us as Convs and 17 as
ReduceMeans in fp16 there, at 99 and 61 at w8a8.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, integers, ints_attribute
from snapq.graph.passes.base import Result
from snapq.graph.passes.npu_workarounds.legalize_pools import Windows, held, windows
from snapq.graph.shapes import static_shape

__all__ = ["KEEPS_SHAPES", "OPERATORS", "apply", "average_by_conv"]

OPERATORS = ("AveragePool",)
KEEPS_SHAPES = False
"""As `legalize_pools`, which looks at the same pools."""

_WRONG = ((8, 1, True), (8, 1, False), (2, 2, True))
"""Taps, stride, and whether there is padding."""


def apply(node: ir.Node, edit: Editor) -> Result:
    """Rewrites one pool."""
    found = windows(node, static_shape(node.inputs[0]))
    if found is None or not (np.any(found.sizes < found.spans) or _wrong(found)):
        return False
    return average_by_conv(node, edit)


def _wrong(found: Windows) -> bool:
    """Whether a window is one of those that are wrong over larger maps too."""
    padded = (found.before > 0) | (found.after > 0)
    each = zip(found.spans.tolist(), found.strides.tolist(), padded.tolist(), strict=True)
    return any(one in _WRONG for one in each)


def average_by_conv(node: ir.Node, edit: Editor) -> Result:
    """An AveragePool as a depthwise Conv, or of the whole map as a ReduceMean.

    False where it is dilated, or pools a volume.
    """
    source, shape = node.inputs[0], static_shape(node.inputs[0])
    found = windows(node, shape)
    if source is None or shape is None or found is None or not np.all(found.made > 0):
        return False
    spans, dims = found.spans.tolist(), len(found.spans)
    dilated = any(step != 1 for step in ints_attribute(node, "dilations") or ())
    if dilated or dims > 2:
        return False
    channels, area = shape[1], float(np.prod(found.spans))
    if np.all(found.made == 1) and np.all(found.ends >= 0):
        area = float(np.prod(found.sizes))
        result = edit.op("ReduceMean", source, integers(*range(2, 2 + dims)), keepdims=1)
    else:
        result = edit.op(
            "Conv",
            source,
            np.full((channels, 1, *spans), 1 / area, np.float32),
            kernel_shape=spans,
            strides=found.strides.tolist(),
            pads=[*found.before.tolist(), *np.maximum(found.ends, 0).tolist()],
            group=channels,
        )
    sizes = ir.Shape((*shape[:2], *found.made.tolist()))
    result.shape = sizes
    counts = node.attributes.get_int("count_include_pad", 0) == 1
    scale = area / np.maximum(held(found, counts), 1)
    if np.all(scale == 1):
        return result
    result = edit.op("Mul", result, scale.astype(np.float32))
    result.shape = sizes
    return result
