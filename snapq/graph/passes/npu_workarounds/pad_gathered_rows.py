"""Gathers rows of 8, 16 or 32 bytes of a number of which the NPU finds the last one.

1. `Gather(x, i)` with 32 indices or more along the first axis that is longer than 1, of computed
   integers or booleans whose rows have 8, 16 or 32 bytes, or as much behind a multiple of 256
   elements, reads x with rows of zeros behind, up to a number of rows that is one more than a
   multiple of 16.
2. Along any other axis, rows come first and go back behind.

Otherwise whatever picks the last row is wrong (4 to 10 dB), and behind another axis all of it
(0 dB): 31 indices, other rows, constant integers and fp16 are right (simulator of QAIRT 2.51, v68
to v85). Numbers that are quantized later have it in `snapq.quantization.qdq.lowering`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import prod

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape

OPERATORS = ("Gather",)

_BYTES = (8, 16, 32)
_PIECE = 256
"""Elements of a row that the NPU moves at a time."""
_PICKS = 32
_ROWS = 16
_WIDE = (ir.DataType.INT64, ir.DataType.INT32, ir.DataType.UINT32, ir.DataType.UINT64)
"""Types of four bytes on the NPU."""


def apply(node: ir.Node, edit: Editor) -> Result:
    """Pads what one Gather of integers reads."""
    dtype = node.inputs[0].dtype if node.inputs[0] is not None else None
    if dtype is None or dtype.is_floating_point():
        return False
    size = 4 if dtype in _WIDE else dtype.itemsize
    return gathered(node, edit, [int(count // size) for count in _BYTES])


def gathered(
    node: ir.Node, edit: Editor, lengths: Collection[int], *, tables: bool = False
) -> ir.Value | None:
    """The same rows, gathered so that the NPU is right; None where it is right already.

    Args:
        node: a Gather.
        edit: where to add what it takes.
        lengths: elements of a row for which it is wrong.
        tables: whether it is wrong of rows of a constant too, which then has more of them.
    """
    source, indices = node.inputs[:2]
    shape, places = static_shape(source), static_shape(indices)
    if source is None or indices is None or shape is None or places is None:
        return None
    axis = node.attributes.get_int("axis", 0) % (len(shape) or 1)
    outer, row = prod(shape[:axis]), prod(shape[axis + 1 :])
    table = constant(source)
    if prod(places) < _PICKS or row % _PIECE not in lengths:
        return None
    if outer == 1 and shape[axis] % _ROWS == 1:
        return None
    if table is not None and not tables:
        return None

    kind = source.type

    def op(
        op_type: str, *of: ir.Value, shape: tuple[int, ...], **attributes: int | Sequence[int]
    ) -> ir.Value:
        result = edit.op(op_type, *of, **attributes)
        result.shape, result.type = ir.Shape(shape), kind
        return result

    rest = (*shape[:axis], *shape[axis + 1 :])
    order = (axis, *(one for one in range(len(shape)) if one != axis))
    found = 0 if outer > 1 else axis
    missing = (1 - shape[axis]) % _ROWS if outer == 1 or outer * row % _PIECE in lengths else 0
    if table is not None:
        widths = [(0, missing if place == found else 0) for place in range(len(shape))]
        moved = table.transpose(order) if outer > 1 else table
        source = edit.constant(np.pad(moved, widths), f"{source.name}_longer")
    elif outer > 1:
        source = op("Transpose", source, shape=(shape[axis], *rest), perm=order)
    if table is None and missing:
        sizes = list(static_shape(source) or ())
        dtype = source.dtype.numpy() if source.dtype is not None else np.dtype(np.float32)
        zeros = np.zeros([*sizes[:found], missing, *sizes[found + 1 :]], dtype)
        sizes[found] += missing
        behind = edit.constant(zeros, f"{source.name}_rows_behind")
        source = op("Concat", source, behind, shape=tuple(sizes), axis=found)
    if outer == 1:
        result = static_shape(node.outputs[0]) or ()
        return op("Gather", source, indices, shape=result, axis=axis)
    rows = op("Gather", source, indices, shape=(*places, *rest), axis=0)
    count = len(places)
    ends = (*range(count, count + axis), *range(count), *range(count + axis, count + len(rest)))
    back = tuple([*places, *rest][one] for one in ends)
    return op("Transpose", rows, shape=back, perm=ends)
