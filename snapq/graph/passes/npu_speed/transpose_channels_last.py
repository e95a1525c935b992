"""Moves small dimensions with the largest one last, where a Transpose moves single elements.

1. `Transpose(x, p)` that moves single elements or short runs (fewer than 32) of a tensor with a
   dimension D of 32 or more = D moved to the end, Transposes that swap two neighbours at a time and
   move runs of D, and D moved to its place, with Reshapes between.
2. Dimensions that stay side by side count as one. What then has fewer than four dimensions stays,
   and so does what has D at the end as its result.

Windows of a map whose channels come first are cut out and put together so (halo attention, the
folds of MobileViT). Estimated in us on QCS9075 (QAIRT 2.51), 512 channels of 8 x 8 into windows of
4 x 4, with the Conv in front and the product behind: w8a8 4,917 against 45, w8a16 503 against 172,
fp16 12,761 against 106; windows of 512 channels back into a map: w8a8 88,305 against 42, w8a16 605
against 212, fp16 8,758 against 85.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

import onnx_ir as ir

from snapq.graph.edit import Editor, integers, permutation, producer
from snapq.graph.passes.base import Result
from snapq.graph.shapes import Shape, static_shape

__all__ = ["OPERATORS", "apply", "joined_moves"]

OPERATORS = ("Transpose",)

_WIDE = 32
"""Elements that the NPU moves in one go."""


def apply(node: ir.Node, edit: Editor) -> Result:
    """Writes one Transpose as moves of long runs."""
    source, result = node.inputs[0], static_shape(node.outputs[0])
    moves = joined_moves(node)
    if source is None or result is None or moves is None or len(moves[0]) < 4:
        return False
    sizes, order = moves
    last = len(sizes) - 1
    longest = max(range(len(sizes)), key=sizes.__getitem__)
    if sizes[longest] < _WIDE or order[-1] == longest:
        return False
    if order[-1] == last and sizes[last] >= _WIDE:
        return False
    value = _moved_last(source, sizes, longest, edit)
    small = [axis for axis in range(len(sizes)) if axis != longest]
    value = _permuted(value, sizes, small, [axis for axis in order if axis != longest], edit)
    place = order.index(longest)
    before, behind = (
        prod(sizes[axis] for axis in some) for some in (order[:place], order[place + 1 :])
    )
    long = sizes[longest]
    if (wanted := _read_as_map(node, long)) is not None and before == 1:
        height, width = wanted[2:]
        value = edit.op("Reshape", value, integers(1, height, width, long))
        return edit.op("Reshape", edit.op("Transpose", value, perm=(0, 3, 1, 2)), integers(*result))
    value = edit.op("Reshape", value, integers(before, behind, long))
    value = edit.op("Transpose", value, perm=(0, 2, 1))
    return edit.op("Reshape", value, integers(*result))


def joined_moves(node: ir.Node) -> tuple[list[int], list[int]] | None:
    """The sizes of dimensions, those as one that stay side by side, and how they are permuted.

    `[2, 3, 4, 5]` by `(2, 3, 0, 1)` is `[6, 20]` by `[1, 0]`. None where the shape is not known, or
    nothing is in it.
    """
    shape, order = static_shape(node.inputs[0]), permutation(node)
    if shape is None or 0 in shape or not order:
        return None
    moved = [axis for axis in order if shape[axis] != 1]
    runs = [[axis] for axis in moved[:1]]
    kept = sorted(moved)
    follows = dict(pairwise(kept))
    for first, second in pairwise(moved):
        if follows.get(first) == second:
            runs[-1].append(second)
        else:
            runs.append([second])
    ranks = {run[0]: rank for rank, run in enumerate(sorted(runs))}
    return [prod(shape[axis] for axis in run) for run in sorted(runs)], [
        ranks[run[0]] for run in runs
    ]


def _moved_last(source: ir.Value, sizes: Sequence[int], axis: int, edit: Editor) -> ir.Value:
    """The tensor with one dimension moved to the end; a map keeps its form, as Convs like it."""
    if axis == len(sizes) - 1:
        return source
    before, behind = prod(sizes[:axis]), prod(sizes[axis + 1 :])
    made = producer(source, "Reshape")
    given = static_shape(made.inputs[0]) if made is not None else None
    if made is not None and given is not None and given[:-2] == (1, sizes[axis]) and before == 1:
        return edit.op("Transpose", made.inputs[0], perm=(0, 2, 3, 1))
    value = edit.op("Reshape", source, integers(before, sizes[axis], behind))
    return edit.op("Transpose", value, perm=(0, 2, 1))


def _permuted(
    value: ir.Value, sizes: Sequence[int], given: list[int], wanted: list[int], edit: Editor
) -> ir.Value:
    """Swaps of neighbours, with the dimension that is none of these at the end."""
    long = prod(sizes) // prod(sizes[axis] for axis in given)
    for place, axis in enumerate(wanted):
        found = given.index(axis)
        if found == place:
            continue
        end = found + 1
        while end < len(given) and given[end] == wanted[place + end - found]:
            end += 1
        parts = given[:place], given[place:found], given[found:end], given[end:]
        before, first, second, behind = (prod(sizes[axis] for axis in part) for part in parts)
        value = edit.op("Reshape", value, integers(before, first, second, behind * long))
        value = edit.op("Transpose", value, perm=(0, 2, 1, 3))
        given = [*parts[0], *parts[2], *parts[1], *parts[3]]
    return value


def _read_as_map(node: ir.Node, channels: int) -> Shape | None:
    """The shape of a map of so many channels that the result alone becomes."""
    uses = node.outputs[0].uses()
    if len(uses) != 1 or (reader := next(iter(uses))[0]).op_type != "Reshape":
        return None
    shape = static_shape(reader.outputs[0])
    return shape if shape is not None and len(shape) == 4 and shape[:2] == (1, channels) else None
