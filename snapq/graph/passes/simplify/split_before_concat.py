"""Takes the parts of what a Concat joined from what it joined, so that they are never joined.

1. Where a tensor is read by Splits and Slices along one axis alone (constant bounds, step 1), and
   each part that they take is made of whole tensors that Concats along that axis joined, perhaps
   with more Concats and Reshapes of later axes in between, each part is joined of these tensors by
   itself.
2. The same where a Transpose alone reads the tensor, and the Splits and Slices read that; each part
   gets a Transpose of its own.

A detection head (YOLOv5u to YOLO11) joins the layers for boxes and for classes of each scale, then
the scales, and splits boxes from classes again. In 8 bits all of these share one scale, from the
least class to the largest box, and neither can end where its own reader no longer tells values
apart. A YOLOv8n (320 x 320, 18 classes) takes 445 us in the place of 443 at w8a8 by Qualcomm's
estimate on QCS9075; the rounding of its classes falls from 24 to 34 dB below the scores. With masks
behind the classes, and channels last, a YOLOv8n-seg (640 x 640) takes 1,561 us in the place of
2,596, by `reduce_before_flatten` too, which finds the scores behind this.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise

import onnx_ir as ir

from snapq.graph.edit import (
    Editor,
    constant_ints,
    input_at,
    integers,
    ints_input,
    is_op,
    permutation,
    producer,
    rank,
)
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape

OPERATORS = ("Concat",)
_DEPTH = 6
"""Concats and Reshapes that a part is followed through."""


@dataclass(frozen=True)
class _Part:
    """What one output of a Split, or a Slice, takes of an axis: from `start` up to `stop`."""

    output: ir.Value
    start: int
    stop: int


def apply(node: ir.Node, edit: Editor) -> Result:
    """Joins each part by itself, where all that reads a Concat takes parts of it."""
    value = node.outputs[0]
    read, order = _turned(value)
    readers = list(dict.fromkeys(use.node for use in read.uses()))
    axes = {_axis(reader) for reader in readers}
    if read.is_graph_output() or len(axes) != 1 or None in axes:
        return False
    axis = axes.pop()
    assert axis is not None
    parts = [part for reader in readers for part in _parts(reader, axis)]
    axis = order[axis] if order else axis
    if not parts or not all(_is_whole(value, axis, part.start, part.stop) for part in parts):
        return False
    for part in parts:
        if part.output.uses() or part.output.is_graph_output():
            edit.begin(part.output)
            made = _joined(value, axis, part.start, part.stop, edit)
            edit.replace(part.output, edit.op("Transpose", made, perm=order) if order else made)
    for reader in readers:
        edit.remove_if_dead(reader)
    turn = read.producer()
    if turn is not None and turn is not node:
        edit.remove_if_dead(turn)
    return True


def _turned(value: ir.Value) -> tuple[ir.Value, tuple[int, ...]]:
    """What a Transpose that alone reads a tensor makes of it, and the order; the tensor, if none.

    A Transpose of which nothing is taken is none.
    """
    uses = list(value.uses())
    turn = uses[0].node if len(uses) == 1 and not value.is_graph_output() else None
    if turn is None or not is_op(turn, "Transpose"):
        return value, ()
    return turn.outputs[0], permutation(turn)


def _axis(reader: ir.Node) -> int | None:
    """The axis along which a node takes a part of its first input; None where it does not."""
    dims = rank(reader.inputs[0])
    if dims is None:
        return None
    if is_op(reader, "Split"):
        return reader.attributes.get_int("axis", 0) % dims
    if not is_op(reader, "Slice"):
        return None
    axes = constant_ints(input_at(reader, 3))
    return axes[0] % dims if axes is not None and len(axes) == 1 else None


def _parts(reader: ir.Node, axis: int) -> list[_Part]:
    """The parts that a Split or Slice takes; none where they are not known."""
    shape = static_shape(reader.inputs[0])
    if shape is None:
        return []
    if is_op(reader, "Split"):
        sizes = [static_shape(output) for output in reader.outputs]
        lengths = [size[axis] for size in sizes if size is not None]
        if sum(lengths) != shape[axis] or len(lengths) != len(sizes):
            return []
        bounds = pairwise(accumulate(lengths, initial=0))
        return [_Part(one, *ends) for one, ends in zip(reader.outputs, bounds, strict=True)]
    starts, stops = (constant_ints(input_at(reader, index)) for index in (1, 2))
    if starts is None or stops is None or ints_input(reader, 4, (1,)) != (1,):
        return []
    start, stop, _ = slice(starts[0], stops[0]).indices(shape[axis])
    return [_Part(reader.outputs[0], start, stop)] if start < stop else []


def _is_whole(value: ir.Value, axis: int, start: int, stop: int, depth: int = _DEPTH) -> bool:
    """Whether a part of a tensor is made of whole tensors, and what joins them made for it."""
    node, shape = value.producer(), static_shape(value)
    if shape is None or node is None or not depth:
        return False
    if is_op(node, "Concat"):
        if (along := node.attributes.get_int("axis", 0) % len(shape)) != axis:
            return all(
                _only(one) and _is_whole(one, axis, start, stop, depth - 1)
                for one in node.inputs
                if one is not None
            )
        return _between(node, along, start, stop) is not None
    source = node.inputs[0] if is_op(node, "Reshape") and _keeps(node, axis) else None
    return source is not None and _only(source) and _is_whole(source, axis, start, stop, depth - 1)


def _only(value: ir.Value | None) -> bool:
    """Whether one node alone reads a tensor, so that it need not be made any more."""
    return value is not None and len(value.uses()) == 1 and not value.is_graph_output()


def _keeps(reshape: ir.Node, axis: int) -> bool:
    """Whether a Reshape leaves an axis and all in front of it as they are."""
    before, after = static_shape(reshape.inputs[0]), static_shape(reshape.outputs[0])
    if before is None or after is None:
        return False
    return before[: axis + 1] == after[: axis + 1] and axis < min(len(before), len(after))


def _between(concat: ir.Node, axis: int, start: int, stop: int) -> list[ir.Value] | None:
    """The inputs of a Concat that make up a part along its axis; None where one is cut."""
    inputs = list(_joins(concat, axis))
    shapes = [shape for one in inputs if (shape := static_shape(one)) is not None]
    if len(shapes) != len(inputs):
        return None
    ends = list(pairwise(accumulate((shape[axis] for shape in shapes), initial=0)))
    inside = [
        one
        for one, (first, last) in zip(inputs, ends, strict=True)
        if start <= first < last <= stop
    ]
    covered = sum(last - first for first, last in ends if start <= first < last <= stop)
    return inside if covered == stop - start else None


def _joins(concat: ir.Node, axis: int, depth: int = _DEPTH) -> Iterator[ir.Value]:
    """What a Concat joins along its axis, and what Concats along it joined for it alone."""
    for value in concat.inputs:
        if value is None:
            continue
        inner = producer(value, "Concat") if depth and _only(value) else None
        if inner is not None and inner.attributes.get_int("axis", 0) % (rank(value) or 1) == axis:
            yield from _joins(inner, axis, depth - 1)
        else:
            yield value


def _joined(value: ir.Value, axis: int, start: int, stop: int, edit: Editor) -> ir.Value:
    """The part, joined by itself."""
    node, shape = value.producer(), static_shape(value)
    assert node is not None
    assert shape is not None
    part = (*shape[:axis], stop - start, *shape[axis + 1 :])
    if is_op(node, "Concat"):
        along = node.attributes.get_int("axis", 0) % len(shape)
        if along == axis:
            inputs = _between(node, axis, start, stop) or []
        else:
            inputs = [
                _joined(one, axis, start, stop, edit) for one in node.inputs if one is not None
            ]
        result = inputs[0] if len(inputs) == 1 else edit.op("Concat", *inputs, axis=along)
    else:
        source = node.inputs[0]
        assert source is not None
        whole = _joined(source, axis, start, stop, edit)
        result = edit.op("Reshape", whole, integers(*part))
    if result.shape is None:
        result.shape, result.type = ir.Shape(part), value.type
    return result
