"""Writes a OneHot whose indices may be negative as comparisons.

1. `OneHot(i, n, (off, on))` = on where `i = p` or `i = p - n`, else off, with p = 0 to n - 1 along
   its axis; where nothing shows that no index is negative.

The NPU does not count indices from the end (simulator of QAIRT 2.51: 5 dB).
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, integers, scalar
from snapq.graph.passes.base import Result, Skipped
from snapq.graph.passes.npu_workarounds.make_computed_indices_positive import never_negative
from snapq.graph.shapes import static_shape

OPERATORS = ("OneHot",)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Compares the indices of one OneHot with all places."""
    indices, shape = node.inputs[0], static_shape(node.inputs[0])
    if indices is None or shape is None or indices.dtype is None or never_negative(indices):
        return False
    depth, values = scalar(node.inputs[1]), constant(node.inputs[2])
    if depth is None or values is None or not indices.dtype.is_integer():
        return Skipped("its depth or values are computed, and the NPU takes no negative indices")
    axis = node.attributes.get_int("axis", -1) % (len(shape) + 1)
    places = np.arange(int(depth)).astype(indices.dtype.numpy())
    places = places.reshape(-1, *(1,) * (len(shape) - axis))
    apart = edit.op("Unsqueeze", indices, integers(axis))
    front, back = (
        edit.op("Equal", apart, one) for one in (places, places - places.dtype.type(depth))
    )
    return edit.op("Where", edit.op("Or", front, back), values[1], values[0])
