"""Writes operators over more dimensions than the NPU takes over fewer, where they can be merged.

1. An element-wise operator, Expand, a reduction, a search for the largest, CumSum, Softmax,
   LogSoftmax, Concat, Split, Slice, Pad, Tile, Gather, GatherElements, ScatterElements or MatMul
   over more dimensions than the NPU takes = Reshape of its inputs, the operator, Reshape of its
   results. Dimensions of size 1 go; neighbours become one where the operator treats them alike,
   from the front, as few as are needed.
2. Of a ReduceSum, a Softmax, and a Mul both of whose operands are broadcast, 4 are left where that
   is possible; of such a Mul of 5 too.

The NPU takes 5 dimensions, and 4 of some operators (`Npu.max_rank`). Reshapes between such
operators merge or vanish. Dimensions are left alone where that many are not enough. Rule 2 is for
weighted sums of neighbours, by which networks of optical flow and of stereo enlarge their maps: one
of 16 x 24 with factor 4, in a small CREStereo, took 168 of 168.5 ms at w8a8 by Qualcomm's estimate
on QCS9075 (0.5 now), and in fp16 3.8 of 4.9 (1.1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import (
    Editor,
    constant,
    constant_ints,
    input_at,
    integers,
    pad_widths,
    reduced_axes,
)
from snapq.graph.passes.base import Result, Skipped
from snapq.graph.shapes import Shape, static_shape
from snapq.operators import MAX_RANK, Family, Trait, having, in_families, spec

_Arguments = Callable[[list[list[int]]], tuple[dict[int, np.ndarray], dict[str, int]]]

_ELEMENTWISE, _REDUCTIONS = (
    tuple(op for op in operators if spec(op).npu.domains and not spec(op).has(Trait.MOVES))
    for operators in (having(Trait.ELEMENTWISE), in_families(Family.REDUCTION))
)
_ALONG_AXIS = ("Concat", "Split", *in_families(Family.SOFTMAX))


@dataclass(frozen=True)
class _Space:
    """The dimensions that a node works over.

    Attributes:
        operands: for each input, its size along each dimension of the space, 1 where it is
            broadcast; None for an input that says something else, such as axes or limits.
        results: the same for each output.
        apart: dimensions that stay as they are.
        arguments: given the groups of dimensions that become one, the other inputs by index and
            the attributes that change.
    """

    operands: tuple[Shape | None, ...]
    results: tuple[Shape, ...]
    apart: frozenset[int] = frozenset()
    arguments: _Arguments = lambda _: ({}, {})


def apply(node: ir.Node, edit: Editor) -> Result:
    """Writes one node over fewer dimensions."""
    shapes = [None if value is None else static_shape(value) for value in node.inputs]
    results = [static_shape(value) for value in node.outputs]
    known = [shape for shape in (*shapes, *results) if shape is not None]
    most = _most(node)
    dims = max((len(shape) for shape in known), default=0)
    fits = dims <= most
    if (fits and (node.op_type != "Mul" or dims < MAX_RANK)) or None in results:
        return False
    if any(0 in shape for shape in known) or not all(
        shape is not None for shape, value in zip(shapes, node.inputs, strict=True) if value
    ):
        return False
    made = [shape or () for shape in results]
    space = _SPACES[node.op_type](node, [shape or () for shape in shapes], made)
    groups = None
    if space is not None:
        few = _groups(space, MAX_RANK - 1) if _is_slow(node, space) else None
        groups = few or (None if fits else _groups(space, most))
    if fits and groups is None:
        return False
    if space is None or groups is None:
        return Skipped(f"its dimensions cannot be merged to {most}")
    others, attributes = space.arguments(groups)
    inputs: list[ir.Value | np.ndarray | None] = []
    for index, (value, sizes) in enumerate(zip(node.inputs, space.operands, strict=True)):
        if index in others:
            inputs.append(others[index])
        elif value is None or sizes is None or static_shape(value) == ():
            inputs.append(value)
        else:
            inputs.append(_merged(value, sizes, groups, edit))
    values = edit.ops(node.op_type, *inputs, outputs=len(node.outputs))
    maker = values[0].producer()
    assert maker is not None
    maker.attributes.update(node.attributes)
    maker.attributes.update({key: ir.AttrInt64(key, value) for key, value in attributes.items()})
    for old, new, shape in zip(node.outputs, values, made, strict=True):
        edit.replace(old, edit.op("Reshape", new, integers(*shape)))
    return True


def _is_slow(node: ir.Node, space: _Space) -> bool:
    """Whether the NPU is slow at a node of 5 dimensions."""
    if node.op_type == "Mul":
        parts = [part for part in space.operands if part is not None]
        return all(prod(part) < prod(space.results[0]) for part in parts)
    return node.op_type in ("ReduceSum", "Softmax")


def _most(node: ir.Node) -> int:
    """The dimensions that the NPU takes of a node."""
    if node.op_type == "Pad" and node.attributes.get_string("mode", "constant") != "constant":
        return MAX_RANK - 1
    return spec(node.op_type).npu.max_rank


def _merged(
    value: ir.Value, sizes: Shape, groups: list[list[int]], edit: Editor
) -> ir.Value | np.ndarray:
    shape = [prod(sizes[axis] for axis in group) for group in groups]
    array = constant(value)
    return edit.op("Reshape", value, integers(*shape)) if array is None else array.reshape(shape)


def _groups(space: _Space, most: int) -> list[list[int]] | None:
    """The dimensions that become one, in order; None where so many are not enough."""
    parts = [part for part in (*space.operands, *space.results) if part is not None]
    dims = len(parts[0])
    alike = [tuple(part[axis] != 1 for part in parts) for axis in range(dims)]
    left = [[axis] for axis in range(dims) if axis in space.apart or any(alike[axis])]
    position = 0
    while len(left) > most and position + 1 < len(left):
        first, second = left[position], left[position + 1]
        free = not space.apart.intersection((*first, *second))
        if free and alike[first[0]] == alike[second[0]]:
            left[position : position + 2] = [first + second]
        else:
            position += 1
    return left if 0 < len(left) <= most else None


def _elementwise(_: ir.Node, shapes: list[Shape], results: list[Shape]) -> _Space | None:
    if any(len(shape) > len(results[0]) for shape in shapes):
        return None
    padded = [_padded(shape, len(results[0])) for shape in shapes]
    return _Space(tuple(padded), (results[0],))


def _padded(shape: Shape, dims: int) -> Shape:
    return (1,) * (dims - len(shape)) + shape


def _place(groups: Iterable[Sequence[int]], axis: int) -> int:
    return next(index for index, group in enumerate(groups) if axis in group)


def _expand(_: ir.Node, shapes: list[Shape], results: list[Shape]) -> _Space:
    (result,) = results
    padded = _padded(shapes[0], len(result))
    return _Space((padded, None), (result,), arguments=_merged_sizes(result))


def _merged_sizes(sizes: Shape) -> _Arguments:
    """The second input says a size for each dimension."""
    return lambda groups: (
        {1: integers(*(prod(sizes[axis] for axis in group) for group in groups))},
        {},
    )


def _tile(node: ir.Node, shapes: list[Shape], results: list[Shape]) -> _Space | None:
    repeats = constant_ints(node.inputs[1])
    if repeats is None:
        return None
    apart = frozenset(axis for axis, times in enumerate(repeats) if times != 1)
    return _Space((shapes[0], None), (results[0],), apart, _merged_sizes(repeats))


def _slice(node: ir.Node, shapes: list[Shape], results: list[Shape]) -> _Space | None:
    axes = constant_ints(input_at(node, 3))
    if axes is None or constant_ints(node.inputs[1]) is None:
        return None
    axes = tuple(axis % len(shapes[0]) for axis in axes)

    def arguments(groups: list[list[int]]) -> tuple[dict[int, np.ndarray], dict[str, int]]:
        return {3: integers(*(_place(groups, axis) for axis in axes))}, {}

    others = (None,) * (len(shapes) - 1)
    return _Space((shapes[0], *others), (results[0],), frozenset(axes), arguments)


def _gather(node: ir.Node, shapes: list[Shape], results: list[Shape]) -> _Space | None:
    (result,) = results
    axis, picked = node.attributes.get_int("axis", 0) % len(shapes[0]), len(shapes[1])
    if picked > 1:
        return None
    # An index of no dimensions takes the dimension away; with one of size 1 it comes back.
    kept = (*result[:axis], 1, *result[axis:]) if picked == 0 else result
    indices = constant(node.inputs[1])
    if indices is None and picked == 0:
        return None

    def arguments(groups: list[list[int]]) -> tuple[dict[int, np.ndarray], dict[str, int]]:
        own = {1: indices.reshape(1)} if indices is not None and picked == 0 else {}
        return own, {"axis": _place(groups, axis)}

    return _Space((shapes[0], None), (kept,), frozenset({axis}), arguments)


def _matmul(_: ir.Node, shapes: list[Shape], results: list[Shape]) -> _Space | None:
    if min(map(len, shapes)) < 2:
        return None
    dims = len(results[0])
    padded = [_padded(shape, dims) for shape in shapes]
    return _Space(tuple(padded), (results[0],), frozenset({dims - 2, dims - 1}))


def _reduction(node: ir.Node, shapes: list[Shape], _: list[Shape]) -> _Space | None:
    axes = reduced_axes(node)
    if not axes:
        return None
    shape = shapes[0]
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    apart = frozenset(axis for axis in axes if shape[axis] == 1)

    def arguments(groups: list[list[int]]) -> tuple[dict[int, np.ndarray], dict[str, int]]:
        reduced = [index for index, group in enumerate(groups) if group[0] in axes]
        return {1: integers(*reduced)}, {"keepdims": 1}

    others = (None,) * (len(shapes) - 1)
    return _Space((shape, *others), (kept,), apart, arguments) if others else None


def _pad(node: ir.Node, shapes: list[Shape], results: list[Shape]) -> _Space | None:
    widths = pad_widths(node, len(shapes[0]))
    if widths is None or input_at(node, 3) is not None:
        return None
    apart = frozenset(axis for axis, width in enumerate(widths) if any(width))

    def arguments(groups: list[list[int]]) -> tuple[dict[int, np.ndarray], dict[str, int]]:
        before, after = zip(*(widths[group[0]] for group in groups), strict=True)
        return {1: integers(*before, *after)}, {}

    others = (None,) * (len(shapes) - 1)
    return _Space((shapes[0], *others), (results[0],), apart, arguments)


def _search(node: ir.Node, shapes: list[Shape], results: list[Shape]) -> _Space:
    """ArgMax, ArgMin and TopK: of the first, the axis stays."""
    default = -1 if node.op_type == "TopK" else 0
    axis = node.attributes.get_int("axis", default) % len(shapes[0])
    kept = results
    keeps: dict[str, int] = {}
    if node.op_type != "TopK":
        keeps = {"keepdims": 1}
        kept = [(*shapes[0][:axis], 1, *shapes[0][axis + 1 :])]

    def arguments(groups: list[list[int]]) -> tuple[dict[int, np.ndarray], dict[str, int]]:
        return {}, {"axis": _place(groups, axis), **keeps}

    others = (None,) * (len(shapes) - 1)
    return _Space((shapes[0], *others), tuple(kept), frozenset({axis}), arguments)


def _sum_up(node: ir.Node, shapes: list[Shape], results: list[Shape]) -> _Space | None:
    axis = constant_ints(node.inputs[1])
    if axis is None:
        return None
    place = axis[0] % len(shapes[0])

    def arguments(groups: list[list[int]]) -> tuple[dict[int, np.ndarray], dict[str, int]]:
        return {1: np.array(_place(groups, place), np.int64)}, {}

    return _Space((shapes[0], None), (results[0],), frozenset({place}), arguments)


def _elements(node: ir.Node, shapes: list[Shape], results: list[Shape]) -> _Space:
    """GatherElements and ScatterElements: dimensions along which places are left out stay."""
    axis = node.attributes.get_int("axis", 0) % len(shapes[0])
    partly = (place for place, sizes in enumerate(zip(*shapes, strict=True)) if len({*sizes}) > 1)

    def arguments(groups: list[list[int]]) -> tuple[dict[int, np.ndarray], dict[str, int]]:
        return {}, {"axis": _place(groups, axis)}

    return _Space(tuple(shapes), tuple(results), frozenset({axis, *partly}), arguments)


def _along_axis(node: ir.Node, shapes: list[Shape], results: list[Shape]) -> _Space:
    axis = node.attributes.get_int("axis", 0 if node.op_type in ("Concat", "Split") else -1)
    axis %= len(shapes[0])
    operands: list[Shape | None] = list(shapes)
    if node.op_type == "Split":
        operands = [shapes[0], *(None for _ in shapes[1:])]

    def arguments(groups: list[list[int]]) -> tuple[dict[int, np.ndarray], dict[str, int]]:
        return {}, {"axis": _place(groups, axis)}

    return _Space(tuple(operands), tuple(results), frozenset({axis}), arguments)


_SPACES: dict[str, Callable[[ir.Node, list[Shape], list[Shape]], _Space | None]] = {
    **dict.fromkeys(_ELEMENTWISE, _elementwise),
    **dict.fromkeys(_REDUCTIONS, _reduction),
    **dict.fromkeys(_ALONG_AXIS, _along_axis),
    **dict.fromkeys(("ArgMax", "ArgMin", "TopK"), _search),
    **dict.fromkeys(("GatherElements", "ScatterElements"), _elements),
    "CumSum": _sum_up,
    "Expand": _expand,
    "Gather": _gather,
    "MatMul": _matmul,
    "Pad": _pad,
    "Slice": _slice,
    "Tile": _tile,
}

OPERATORS = tuple(_SPACES)
