"""Writes what is filled up along two axes, one behind the other, as one Pad.

1. Of two that fill up with the same number, behind the last axis and beside another one, each a
   `Pad` or a `Concat` with constants that hold one number, one Pad is made, whose last column
   `split_pad` looks after. With a Transpose between, the first one is filled up behind it.
2. A Concat of one number behind rows that are multiplied or normalized is a Pad, for `split_pad`.
3. Where the numbers differ, the second one is a Pad between Reshapes to a last axis of size 1;
   where 5 dimensions are enough.

Qualcomm's compiler makes such a pair one Pad itself, and leaves the last column of it unwritten:
64 x 20 x 20 with a row and a column of zeros behind come out at -0.1 dB at w8a8, simulated on
QCS9075 (QAIRT 2.51), each of the two alone at 40.

Source: see `snapq.graph.passes.padding`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import (
    Editor,
    constant,
    input_at,
    integers,
    is_op,
    pad_widths,
    permutation,
    scalar,
)
from snapq.graph.passes.base import Result
from snapq.graph.passes.padding import leaves_a_column, pads_rows
from snapq.graph.shapes import static_shape
from snapq.operators import MAX_RANK

OPERATORS = ("Concat", "Pad")


@dataclass(frozen=True)
class _Filled:
    """A value with so many elements of one number around it, axis by axis."""

    value: ir.Value
    widths: list[tuple[int, int]]
    number: np.ndarray


def apply(node: ir.Node, edit: Editor) -> Result:
    """Joins what fills up a value with what fills up the result."""
    outer = _filled(node)
    if outer is not None and is_op(node, "Concat"):
        before, after = zip(*outer.widths, strict=True)
        if pads_rows(node, before, after):
            return edit.op("Pad", outer.value, _amounts(outer.widths), outer.number)
    maker = outer.value.producer() if outer is not None else None
    turn = maker if is_op(maker, "Transpose") else None
    if turn is not None and turn.inputs[0] is not None:
        maker = turn.inputs[0].producer()
    inner = _filled(maker) if maker is not None else None
    if outer is None or inner is None:
        return False
    if turn is not None:
        inner = replace(inner, widths=[inner.widths[axis] for axis in permutation(turn)])
    both = [
        (one[0] + other[0], one[1] + other[1])
        for one, other in zip(inner.widths, outer.widths, strict=True)
    ]
    if not leaves_a_column(*zip(*both, strict=True)):
        return False
    if inner.number == outer.number:
        value = inner.value
        if turn is not None:
            value = edit.op("Transpose", value, perm=permutation(turn))
        return edit.op("Pad", value, _amounts(both), outer.number)
    shape, result = static_shape(outer.value), static_shape(node.outputs[0])
    if shape is None or result is None or len(shape) >= MAX_RANK:
        return False
    deep = edit.op("Reshape", outer.value, integers(*shape, 1))
    padded = edit.op("Pad", deep, _amounts([*outer.widths, (0, 0)]), outer.number)
    return edit.op("Reshape", padded, integers(*result))


def _amounts(widths: Sequence[tuple[int, int]]) -> np.ndarray:
    before, after = zip(*widths, strict=True)
    return integers(*before, *after)


def _filled(node: ir.Node) -> _Filled | None:
    return _of_pad(node) if is_op(node, "Pad") else _of_concat(node)


def _of_concat(node: ir.Node) -> _Filled | None:
    """What a Concat fills up; None where it joins anything else."""
    shape = static_shape(node.outputs[0]) if is_op(node, "Concat") else None
    given = [constant(value) for value in node.inputs]
    places = [place for place, array in enumerate(given) if array is None]
    if shape is None or len(places) != 1:
        return None
    (place,) = places
    fillings = [array for array in given if array is not None and array.size]
    value = node.inputs[place]
    if value is None or not fillings or fillings[0].dtype.kind != "f":
        return None
    number = fillings[0].reshape(-1)[0]
    if any((array != number).any() for array in fillings):
        return None
    axis = node.attributes.get_int("axis", 0) % len(shape)
    sizes = [0 if array is None else array.shape[axis] for array in given]
    widths = [(0, 0) for _ in shape]
    widths[axis] = (sum(sizes[:place]), sum(sizes[place:]))
    return _Filled(value, widths, np.asarray(number))


def _of_pad(node: ir.Node) -> _Filled | None:
    """What a Pad with one number fills up."""
    shape = static_shape(node.inputs[0])
    if shape is None or node.attributes.get_string("mode", "constant") != "constant":
        return None
    widths, filling = pad_widths(node, len(shape)), input_at(node, 2)
    number = 0.0 if filling is None else scalar(filling)
    value = node.inputs[0]
    if widths is None or number is None or value is None or min(map(min, widths)) < 0:
        return None
    return _Filled(value, list(widths), np.asarray(number, np.float32))
