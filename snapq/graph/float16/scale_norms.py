"""Scales what a norm squares, so that no square is beyond fp16.

1. `ReduceL2(x)` becomes `m sqrt(sum((x / m)^2))` with `m = max(|x|)` over its axes.

fp16 ends at 131,008 on the NPU, and 32 values of 100 have squares that add up to more: of normal
numbers times 100 the operator has 9 dB, and written so 70 (simulator of QAIRT 2.51, fp16).
"""

from __future__ import annotations

from math import prod

import onnx_ir as ir

from snapq.graph.edit import Editor, integers, number, reduced_axes
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape

OPERATORS = ("ReduceL2",)

_SMALLEST = 2.0**-13
"""Instead of a largest value of 0, by which nothing can be divided."""
_LONGEST = 32768
"""Squares of up to 1 that fp16 can add up."""


def apply(node: ir.Node, edit: Editor) -> Result:
    """Writes out one norm."""
    source, axes = node.inputs[0], reduced_axes(node)
    shape = static_shape(source)
    if source is None or not axes or shape is None:
        return False
    places, count = integers(*axes), prod(shape[axis] for axis in axes)
    peak = edit.op("ReduceMax", edit.op("Abs", source), places, keepdims=1)
    peak = edit.op("Max", peak, number(_SMALLEST))
    part = edit.op("Div", source, peak)
    keep = node.attributes.get_int("keepdims", 1)
    short = count <= _LONGEST
    reduction = "ReduceSum" if short else "ReduceMean"
    total = edit.op(reduction, edit.op("Mul", part, part), places, keepdims=keep)
    norm = edit.op(
        "Mul", edit.op("Sqrt", total), peak if keep else edit.op("Squeeze", peak, places)
    )
    return norm if short else edit.op("Mul", norm, number(count**0.5))
