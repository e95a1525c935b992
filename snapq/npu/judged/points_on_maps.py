"""Points of several numbers, computed on the maps that they come from, each kind by itself.

1. In float, where Convs' maps `[1, K D, H, W]`, joined along their places if there are several, are
   reshaped to `[1, K, D, N]`, and rows of D go through steps of their own before a Concat and a
   Reshape to `[1, K d, N]`, each such part is a Conv with its own channels for each map, and the
   steps follow on the maps. Convs of ones and zeros, one a part, put the channels in order.
2. Steps are sums, differences, constant factors and functions of one number. What is the same at
   all places goes into the Convs.

So YOLO's pose networks make coordinates and how visible a point is. The NPU moves single elements
of tensors of four axes with two or three rows. Estimated in us on QCS9075 and SA8797P (QAIRT 2.51),
17 points at 8,400 places behind three Convs of 64 channels: 1,048 and 517 against 351 and 244, of
which the Convs and joining what they give take 336 and 280.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import (
    Editor,
    constant,
    input_at,
    integers,
    is_float,
    is_op,
    number,
    producer,
    sole_producer,
)
from snapq.graph.passes.slices import taken
from snapq.graph.shapes import Shape, static_shape
from snapq.npu.judged.copies import changed_copy
from snapq.operators import Trait, spec

__all__ = ["apply", "sites"]

_AFFINE = ("Add", "Div", "Mul", "Sub")
_MAP_RANK, _POINT_RANK, _ROW_RANK = 4, 4, 3
_ROUGH, _SATURATED = ("Sigmoid", "Tanh"), 30.0
"""What keeps 7 bits right behind a Conv, and an argument from which on nothing changes."""
_LONGEST = 16
"""Steps that a part is followed through."""


@dataclass(frozen=True)
class _Part:
    """Rows of all points, and the steps that they go through.

    Attributes:
        rows: which of D.
        steps: the first comes first.
    """

    rows: range
    steps: tuple[ir.Node, ...]


@dataclass(frozen=True)
class _Map:
    """A Conv whose map is laid out, and where its places are among all."""

    conv: ir.Node
    size: tuple[int, int]
    places: slice


@dataclass(frozen=True)
class _Site:
    """Points: their parts, the maps they come from, and the shape `[1, K, D, N]`."""

    parts: tuple[_Part, ...]
    maps: tuple[_Map, ...]
    shape: Shape


def sites(model: ir.Model) -> tuple[str, ...]:
    """Names of the Reshapes that put points together which `apply` can compute on maps."""
    return tuple(str(node.name) for node in model.graph if _site(node) is not None)


def apply(model: ir.Model, names: Collection[str]) -> ir.Model:
    """A copy in which these points are computed on maps.

    Args:
        model: a float or a Q/DQ model with fixed shapes.
        names: out of `sites`; others are left as they are.
    """
    return changed_copy(model, names, _change)


def _change(node: ir.Node, edit: Editor) -> None:
    site = _site(node)
    if site is None:
        return
    edit.begin(node)
    laid = [_on_map(one, site, edit) for one in site.maps]
    made = laid[0] if len(laid) == 1 else edit.op("Concat", *laid, axis=1)
    edit.replace(node.outputs[0], edit.op("Transpose", made, perm=(0, 2, 1)))
    edit.remove_if_dead(node)


def _site(node: ir.Node) -> _Site | None:
    """What a Reshape puts together; None where it is no points."""
    joined = sole_producer(node.inputs[0], "Concat") if is_op(node, "Reshape") else None
    points = _points(joined)
    if joined is None or points is None:
        return None
    parts = tuple(part for one in joined.inputs if (part := _part(one, points)) is not None)
    readers = {use.node for use in points.outputs[0].uses()}
    shape = static_shape(points.outputs[0])
    if len(parts) != len(joined.inputs) or shape is None or len(readers) > len(parts):
        return None
    kept = sum(len(part.rows) for part in parts)
    if static_shape(node.outputs[0]) != (1, shape[1] * kept, shape[3]):
        return None
    maps = _maps(points.inputs[0], shape[3])
    return None if maps is None else _Site(parts, tuple(maps), shape)


def _points(joined: ir.Node | None) -> ir.Node | None:
    """The Reshape to `[1, K, D, N]` whose rows a Concat joins."""
    if joined is None or joined.attributes.get_int("axis", 0) % _POINT_RANK != 2:
        return None
    value: ir.Value | None = joined.inputs[0]
    for _ in range(_LONGEST):
        node = None if value is None else value.producer()
        if node is None:
            return None
        if is_op(node, "Reshape"):
            return node if _parts_channels(node) else None
        value = _source(node)
    return None


def _parts_channels(reshape: ir.Node) -> bool:
    """Whether a Reshape parts the channels of a map, which may be laid out."""
    before, after = static_shape(reshape.inputs[0]), static_shape(reshape.outputs[0])
    if before is None or after is None or len(after) != _POINT_RANK or before[:1] != (1,):
        return False
    alike = after[0] == 1 and before[1] == after[1] * after[2]
    return alike and is_float(reshape.outputs[0]) and not reshape.outputs[0].is_graph_output()


def _source(node: ir.Node) -> ir.Value | None:
    """The one input of a step, or of what takes rows, that is no constant."""
    if is_op(node, "Slice", "Split"):
        return node.inputs[0]
    found = [value for value in node.inputs if value is not None and constant(value) is None]
    affine = is_op(node, *_AFFINE)
    alone = (
        len(node.inputs) == 1 and node.domain == "" and spec(node.op_type).has(Trait.ELEMENTWISE)
    )
    if len(found) != 1 or not (affine or alone) or len(node.outputs) != 1:
        return None
    if is_op(node, "Div"):
        divisor = constant(node.inputs[1])
        return node.inputs[0] if divisor is not None and divisor.all() else None
    return found[0]


def _part(value: ir.Value | None, points: ir.Node) -> _Part | None:
    """What a Concat of rows joins; None where it is more than steps behind rows of `points`."""
    steps: list[ir.Node] = []
    whole = static_shape(points.outputs[0])
    assert whole is not None
    while value is not None and len(steps) <= _LONGEST:
        if value is points.outputs[0]:
            return _Part(range(whole[2]), tuple(reversed(steps)))
        node = value.producer()
        if node is None or value.is_graph_output() or len(value.uses()) != 1:
            return None
        if is_op(node, "Slice", "Split"):
            rows = _rows(node, value) if node.inputs[0] is points.outputs[0] else None
            return None if rows is None else _Part(rows, tuple(reversed(steps)))
        source = _source(node)
        if source is None or not is_float(value) or static_shape(source) != static_shape(value):
            return None
        steps.append(node)
        value = source
    return None


def _rows(node: ir.Node, value: ir.Value) -> range | None:
    """Which rows of `[1, K, D, N]` a Slice or an output of a Split takes."""
    shape = static_shape(node.inputs[0])
    if shape is None:
        return None
    if is_op(node, "Slice"):
        found = taken(node, [range(size) for size in shape])
        whole = found is not None and all(
            one == range(size)
            for at, (one, size) in enumerate(zip(found, shape, strict=True))
            if at != 2
        )
        return found[2] if found is not None and whole and len(found[2]) else None
    if node.attributes.get_int("axis", 0) % len(shape) != 2:
        return None
    start = 0
    for output in node.outputs:
        part = static_shape(output)
        if part is None:
            return None
        if output is value:
            return range(start, start + part[2])
        start += part[2]
    return None


def _maps(value: ir.Value | None, places: int) -> list[_Map] | None:
    """The maps of which points are made; None where they are made of anything else."""
    joined = sole_producer(value, "Concat")
    if joined is not None and joined.attributes.get_int("axis", 0) % _ROW_RANK != _ROW_RANK - 1:
        return None
    found: list[_Map] = []
    start = 0
    for one in (value,) if joined is None else joined.inputs:
        laid = sole_producer(one, "Reshape")
        conv = sole_producer(one if laid is None else laid.inputs[0], "Conv")
        shape = None if conv is None else static_shape(conv.outputs[0])
        if conv is None or shape is None or len(shape) != _MAP_RANK or not _is_plain(conv):
            return None
        stop = start + shape[2] * shape[3]
        if joined is not None and static_shape(one) != (1, shape[1], stop - start):
            return None
        found.append(_Map(conv, (shape[2], shape[3]), slice(start, stop)))
        start = stop
    return found if start == places else None


def _is_plain(conv: ir.Node) -> bool:
    """Whether channels of a Conv can be computed by another one."""
    bias = input_at(conv, 2)
    known = constant(conv.inputs[1]) is not None and (bias is None or constant(bias) is not None)
    return known and conv.attributes.get_int("group", 1) == 1


def _on_map(one: _Map, site: _Site, edit: Editor) -> ir.Value:
    """The points of one map, `[1, H W, K d]`."""
    kept = sum(len(part.rows) for part in site.parts)
    value, before = None, 0
    for part in site.parts:
        made = _computed(one, part, site.shape, edit)
        made = edit.op("Conv", made, _places(site.shape[1], part, kept, before))
        value = made if value is None else edit.op("Add", value, made)
        before += len(part.rows)
    value = edit.op("Transpose", value, perm=(0, 2, 3, 1))
    return edit.op("Reshape", value, integers(1, prod(one.size), site.shape[1] * kept))


def _places(count: int, part: _Part, kept: int, before: int) -> np.ndarray:
    """The kernel of the Conv that puts the channels of a part where they belong among all."""
    width = len(part.rows)
    kernel = np.zeros((count, kept, count, width, 1, 1), np.float32)
    for point in range(count):
        kernel[point, before : before + width, point] = np.eye(width)[..., np.newaxis, np.newaxis]
    return kernel.reshape(count * kept, count * width, 1, 1)


def _computed(one: _Map, part: _Part, shape: Shape, edit: Editor) -> ir.Value:
    """A part on one map, `[1, K d, H, W]`."""
    weight, bias = constant(one.conv.inputs[1]), constant(input_at(one.conv, 2))
    assert weight is not None
    channels = [point * shape[2] + row for point in range(shape[1]) for row in part.rows]
    steps = list(part.steps)
    factor, offset = _affine(steps, one, part, shape)
    kernel = weight[channels].astype(np.float64)
    summand = np.zeros(len(channels)) if bias is None else bias[channels].astype(np.float64)
    if factor.shape[2:] == (1, 1):
        kernel, summand = kernel * factor.reshape(-1, 1, 1, 1), summand * factor.ravel()
        if offset.shape[2:] == (1, 1):
            summand, offset = summand + offset.ravel(), np.zeros(())
        factor = np.ones(())
    inputs = [kernel.astype(np.float32)]
    if bias is not None or summand.any():
        inputs.append(summand.astype(np.float32))
    value = edit.op("Conv", one.conv.inputs[0], *inputs, **_attributes(one.conv))
    value = _scaled(value, factor, offset, edit)
    while steps:
        if is_op(steps[0], *_AFFINE):
            value = _scaled(value, *_affine(steps, one, part, shape), edit)
        else:
            if is_op(steps[0], *_ROUGH) and producer(value, "Conv") is not None:
                value = edit.op("Clip", value, number(-_SATURATED), number(_SATURATED))
            value = edit.op(steps[0].op_type, value, **_attributes(steps.pop(0)))
    return value


def _affine(
    steps: list[ir.Node], one: _Map, part: _Part, shape: Shape
) -> tuple[np.ndarray, np.ndarray]:
    """Factor and summand, `[1, K d, H, W]` or `[1, K d, 1, 1]`, of the arithmetic that comes first.

    What is taken into them is taken off `steps`.
    """
    factor, offset = np.ones((1, 1, 1)), np.zeros((1, 1, 1))
    while steps and is_op(steps[0], *_AFFINE):
        node = steps.pop(0)
        second = constant(node.inputs[1])
        array = constant(node.inputs[0]) if second is None else second
        assert array is not None
        wide = array.astype(np.float64)
        if is_op(node, "Mul", "Div"):
            wide = 1 / wide if is_op(node, "Div") else wide
            factor, offset = factor * wide, offset * wide
        elif is_op(node, "Sub") and second is None:
            factor, offset = -factor, wide - offset
        else:
            offset = offset + (-wide if is_op(node, "Sub") else wide)
    return _laid(factor, one, part, shape), _laid(offset, one, part, shape)


def _laid(array: np.ndarray, one: _Map, part: _Part, shape: Shape) -> np.ndarray:
    """Numbers for `[1, K, d, N]` as those of one map, `[1, K d, H, W]`; one where all are alike."""
    _, count, _, places = shape
    rows = len(part.rows)
    laid = np.broadcast_to(array, (1, count, rows, places))[..., one.places]
    if np.all(laid == laid[..., :1]):
        return laid[..., :1].reshape(1, count * rows, 1, 1)
    return laid.reshape(1, count * rows, *one.size)


def _scaled(value: ir.Value, factor: np.ndarray, offset: np.ndarray, edit: Editor) -> ir.Value:
    """A map times one array and plus another, where these do anything."""
    if np.any(factor != 1):
        value = edit.op("Mul", value, factor.astype(np.float32))
    return edit.op("Add", value, offset.astype(np.float32)) if offset.any() else value


def _attributes(node: ir.Node) -> dict[str, Any]:
    return {one.name: one.value for one in node.attributes.values()}
