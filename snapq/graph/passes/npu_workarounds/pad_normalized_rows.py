"""Normalizes rows of one element more than a multiple of 256 with a zero in front.

1. `RMSNormalization(x, w)` over a last axis of n = 257, 513, … elements = that of n + 1, the first
   a zero, with `w sqrt(n / (n + 1))` and `epsilon n / (n + 1)`, and a Slice.

In 8 and 16 bits Qualcomm's compiler (QAIRT 2.51) finds no memory for such rows, however few; those
of 256 or 258 elements, and LayerNormalization of 257, compile. Spectrograms have so many bins.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, integers, number
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape

OPERATORS = ("RMSNormalization",)

_PIECE = 256


def apply(node: ir.Node, edit: Editor) -> Result:
    """Puts a zero in front of one kind of rows."""
    source, shape = node.inputs[0], static_shape(node.inputs[0])
    weight = constant(node.inputs[1])
    if source is None or not shape or weight is None or shape[-1] % _PIECE != 1:
        return False
    size, dims = shape[-1], len(shape)
    if size == 1 or weight.shape != (size,):
        return False
    if node.attributes.get_int("axis", -1) % dims != dims - 1:
        return False
    share = size / (size + 1)
    front = integers(*(0,) * (dims - 1), 1, *(0,) * dims)
    longer = edit.op("Pad", source, front, number(0))
    scale = np.pad(weight * np.sqrt(share), (1, 0)).astype(weight.dtype)
    epsilon = node.attributes.get_float("epsilon", 1e-5) * share
    normal = edit.op("RMSNormalization", longer, scale, axis=-1, epsilon=epsilon)
    return edit.op("Slice", normal, integers(1), integers(size + 1), integers(-1))
