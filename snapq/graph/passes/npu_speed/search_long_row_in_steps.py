"""Finds the largest value of a long row in two steps.

1. `ArgMax(x)` of one row of 8,192 values or more becomes a ReduceMax over equal parts of it, an
   ArgMax of these, a Gather of the part that has the largest value, and an ArgMax of that; the
   first of equal ones stays the first. `ArgMin` likewise, with a ReduceMin.
2. ReduceMax or ReduceMin of up to 32 rows of 2,048 values or more, along the last axis, becomes one
   over equal parts and one over these.

The NPU looks at one value of a row after the other. Estimated in us on QCS9075 (QAIRT 2.51) behind
a Gemm, at fp16: ArgMax of 64,044 values 1,730, in steps 303 (on SA8797P 1,538 and 239), of 8,400
229 and 143, of 3,072 86 and 128; ReduceMax of 64,044 values 1,312 and 183, of 3,072 64 and 12, of
17 rows of 3,072 129 and 38.
"""

from __future__ import annotations

from math import prod

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, integers, is_float, reduced_axes
from snapq.graph.passes.base import Result, Skipped
from snapq.graph.shapes import Shape, static_shape

_PLACES = {"ArgMax": "ReduceMax", "ArgMin": "ReduceMin"}
_VALUES = tuple(_PLACES.values())
OPERATORS = (*_PLACES, *_VALUES)

_LONG = 8192
_LONG_VALUES = 2048
_ROWS = 32
_PART = 16
"""Values that a part has at least."""
_RANK = 5
"""Dimensions that the NPU takes."""


def apply(node: ir.Node, edit: Editor) -> Result:
    """Searches rows in two steps."""
    source, made = node.inputs[0], static_shape(node.outputs[0])
    shape = static_shape(source)
    if source is None or not shape or made is None or not is_float(source):
        return False
    if node.op_type in _VALUES:
        return _value(node, source, shape, made, edit)
    size = shape[node.attributes.get_int("axis", 0) % len(shape)]
    last = node.attributes.get_int("select_last_index", 0)
    if size < _LONG or prod(shape) != size or last:
        return False
    parts = _parts(size)
    if parts < _PART:
        return Skipped(f"its {size:,} values cannot be divided for the NPU")
    rows = edit.op("Reshape", source, integers(parts, size // parts))
    best = edit.op(_PLACES[node.op_type], rows, integers(1), keepdims=0)
    part = edit.op("Cast", edit.op(node.op_type, best, axis=0), to=ir.DataType.INT32)
    place = edit.op(node.op_type, edit.op("Gather", rows, part, axis=0), axis=1, keepdims=0)
    start = edit.op("Mul", part, np.array(size // parts, np.int32))
    index = edit.op("Add", start, edit.op("Cast", place, to=ir.DataType.INT32))
    return edit.op("Reshape", edit.op("Cast", index, to=ir.DataType.INT64), integers(*made))


def _value(node: ir.Node, source: ir.Value, shape: Shape, made: Shape, edit: Editor) -> Result:
    *others, size = shape
    last = reduced_axes(node) == (len(shape) - 1,)
    if not last or size < _LONG_VALUES or prod(others) > _ROWS or len(shape) >= _RANK:
        return False
    parts = _parts(size)
    if parts < _PART:
        return False
    split = edit.op("Reshape", source, integers(*others, parts, size // parts))
    found = edit.op(node.op_type, split, integers(len(others) + 1), keepdims=0)
    found = edit.op(node.op_type, found, integers(len(others)), keepdims=0)
    return edit.op("Reshape", found, integers(*made))


def _parts(size: int) -> int:
    """In how many equal parts a row is searched: as many as each has values, or fewer."""
    return max(one for one in range(1, int(size**0.5) + 1) if size % one == 0)
