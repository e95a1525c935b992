"""Moves five and more dimensions one after the other.

1. `Transpose(x, p)` that leaves five or more runs of dimensions side by side = for each run that
   moves over others, a Transpose of four dimensions, with Reshapes between; what ends last is moved
   there first.

The NPU takes five dimensions and no more, and at 8 bits the compiler gives some of them code that
is thousands of times slower. Estimated in us on QCS9075 and SA8797P (QAIRT 2.51), 8 x 2 x 8 x 2 x
32 as [2, 2, 8, 8, 32], with a Relu in front and a product behind: w8a8 84,092 and 278 against 12
and 8, fp16 401 and 18 against 20 and 11. So Hiera, which SAM 2 has, sorts its windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import onnx_ir as ir

from snapq.graph.edit import Editor, integers
from snapq.graph.passes.base import Result
from snapq.graph.passes.npu_speed.transpose_channels_last import joined_moves
from snapq.graph.shapes import static_shape

OPERATORS = ("Transpose",)

_MANY = 5


def apply(node: ir.Node, edit: Editor) -> Result:
    """Splits one Transpose."""
    source, result = node.inputs[0], static_shape(node.outputs[0])
    moves = joined_moves(node)
    if source is None or result is None or moves is None or len(moves[0]) < _MANY:
        return False
    sizes, order = moves
    placed = list(range(len(sizes)))
    last = placed.index(order[-1])
    source, placed = _moved(source, sizes, placed, (last, last + 1, len(placed)), edit)
    for first, axis in enumerate(order):
        begin = placed.index(axis)
        end = begin + 1
        while end < len(placed) and placed[end] == order[first + end - begin]:
            end += 1
        source, placed = _moved(source, sizes, placed, (first, begin, end), edit)
    return edit.op("Reshape", source, integers(*result))


def _moved(
    source: ir.Value,
    sizes: Sequence[int],
    placed: list[int],
    ends: tuple[int, int, int],
    edit: Editor,
) -> tuple[ir.Value, list[int]]:
    """Two neighbouring runs change places, from the first to the second end and to the third."""
    first, second, third = ends
    parts = placed[:first], placed[first:second], placed[second:third], placed[third:]
    if not parts[1] or not parts[2]:
        return source, placed
    flat = integers(*(prod(sizes[one] for one in part) for part in parts))
    turned = edit.op("Transpose", edit.op("Reshape", source, flat), perm=(0, 2, 1, 3))
    return turned, [*parts[0], *parts[2], *parts[1], *parts[3]]
