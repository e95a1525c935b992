"""Takes rows and columns of a map where its channels lie side by side.

1. `Gather(x, i)`, i up to 8 constant indices of a dimension of up to 8 behind the channels = Concat
   of the parts of a Split.
2. With more, where the Gather moves fewer than 16 elements in one go and there are more channels:
   Transpose with the channels last, Gather, Transpose back.

Estimated in us on QCS9075 (QAIRT 2.51), beyond the two Convs around: 960 x 3 x 3 to 7 x 7 at w8a8
858, and 9 as Splits and Concats, at fp16 1,389 and nothing; 64 x 20 x 20 to 33 x 33 at w8a8 905,
and 30 with channels last, at w8a16 80 and 36, at fp16 644 and 207; 256 x 38 x 38 to 75 x 75 at
w8a8 6,026 and 274, at w8a16 902 and 619, at fp16 2,398 and 626.
"""

from __future__ import annotations

from math import prod

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant
from snapq.graph.passes.base import Result
from snapq.graph.shapes import Shape, static_shape

OPERATORS = ("Gather",)

_FEW = 8
"""Indices that are worth a part each."""
_WIDE = 16
"""Elements that are worth laying side by side."""


def apply(node: ir.Node, edit: Editor) -> Result:
    """Writes one Gather as a Concat, or between Transposes."""
    source, indices = node.inputs[0], constant(node.inputs[1])
    shape = static_shape(source)
    if source is None or indices is None or indices.ndim != 1 or shape is None:
        return False
    axis = node.attributes.get_int("axis", 0) % len(shape)
    if constant(source) is not None or axis < 2 or indices.size < 2 or indices.min() < 0:
        return False
    if is_few(indices, shape[axis]):
        return picked(source, indices, shape[axis], axis, edit)
    if not prod(shape[axis + 1 :]) < _WIDE <= shape[1]:
        return False
    value = channels_last(source, shape, edit)
    value = edit.op("Gather", value, indices, axis=axis - 1)
    return channels_first(value, shape, edit)


def is_few(indices: np.ndarray, size: int) -> bool:
    """Whether so many indices of a dimension are better taken one by one."""
    return indices.size <= _FEW and size <= _FEW


def picked(source: ir.Value, indices: np.ndarray, size: int, axis: int, edit: Editor) -> ir.Value:
    """The elements of a dimension at some indices, one by one."""
    parts = edit.ops("Split", source, outputs=size, axis=axis, num_outputs=size)
    return edit.op("Concat", *(parts[index] for index in indices), axis=axis)


def channels_last(value: ir.Value, shape: Shape, edit: Editor) -> ir.Value:
    """`[N, C, …]` as `[N, …, C]`."""
    return edit.op("Transpose", value, perm=(0, *range(2, len(shape)), 1))


def channels_first(value: ir.Value, shape: Shape, edit: Editor) -> ir.Value:
    """`[N, …, C]` as `[N, C, …]`."""
    return edit.op("Transpose", value, perm=(0, len(shape) - 1, *range(1, len(shape) - 1)))
