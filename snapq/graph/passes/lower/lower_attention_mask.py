"""Writes what a query may attend as a mask of numbers, which the NPU's Attention takes.

Qualcomm's execution provider (2.7.0) refuses a mask of booleans and takes no notice of windows.

1. The windows of an Attention without a mask, or with a constant one, become a constant mask of 0
   and minus infinity, or part of it.
2. A constant mask of booleans becomes one of numbers.

Source: Attention-25 of ONNX: a query at p = offset + index attends keys from p - left_window_size
to p + right_window_size, where the offset is the length of the past.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, input_at
from snapq.graph.passes.base import Result, Skipped
from snapq.graph.shapes import static_shape

OPERATORS = ("Attention",)

_MASK, _PAST, _VALID_KEYS = 3, 4, 6
"""Inputs of Attention."""
_WINDOWS = ("left_window_size", "right_window_size")


def apply(node: ir.Node, edit: Editor) -> Result:
    """Gives one Attention a mask of numbers."""
    queries, keys = static_shape(node.inputs[0]), static_shape(node.inputs[1])
    past, given = static_shape(input_at(node, _PAST)), input_at(node, _MASK)
    if queries is None or keys is None or input_at(node, _VALID_KEYS) is not None:
        return False
    if input_at(node, _PAST) is not None and past is None:
        return False
    left, right = (node.attributes.get_int(name, -1) for name in _WINDOWS)
    windowed = max(left, right) >= 0
    mask = constant(given)
    if given is not None and mask is None:
        needed = windowed or given.dtype == ir.DataType.BOOL
        return Skipped("its mask is computed") if needed else False
    if not windowed and (mask is None or mask.dtype != np.bool_):
        return False
    offset = past[-2] if past is not None else 0
    place = offset + np.arange(queries[-2])[:, None]
    key = np.arange(offset + keys[-2])[None, :]
    seen = (left < 0) | (key >= place - left)
    seen = seen & ((right < 0) | (key <= place + right))
    if mask is None:
        numbers = np.where(seen, 0.0, -np.inf)
    elif mask.shape[-1] != seen.shape[-1]:
        return False
    else:
        held = np.where(mask, 0.0, -np.inf) if mask.dtype == np.bool_ else mask
        numbers = np.where(seen, held, -np.inf)
    edit.set_constant(node, _MASK, numbers.astype(np.float32))
    for name in _WINDOWS:
        node.attributes.pop(name, None)
    return True
