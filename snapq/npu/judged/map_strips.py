"""Large maps, computed strip by strip through several layers.

1. In float, neighbouring layers without stride, and what is computed of single elements between
   them, are computed in four strips of rows or columns, if a map `[1, C, H, W]` among them has
   `LARGE` bytes or more in fp16. Each layer computes as many places beside a strip as those behind
   it read.
2. Not where that would make too many nodes: networks of hundreds of layers compile for minutes.

Maps that do not fit into the memory beside the NPU are written out between two layers and read
again; in strips they stay. Estimated in us on QCS9075 and SA8797P (QAIRT 2.51, fp16), three layers
of 128 channels of 32 x 1,024 that a layer of one tap joins: 8,615 and 2,110 against 6,668 and
2,249; of 256 channels of 16 x 512 6,423 and 2,155 against 5,011 and 1,690. Where a network has such
maps in all layers (DnCNN), strips may be the slower ones.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from math import prod
from typing import Any

import onnx_ir as ir

from snapq.graph.edit import (
    Editor,
    constant,
    integers,
    ints_attribute,
    is_float,
    is_op,
)
from snapq.graph.inference import infer_shapes
from snapq.graph.shapes import Shape, static_shape
from snapq.operators import Trait, spec

__all__ = ["LARGE", "apply", "sites"]

LARGE = 4 * 2**20
"""Bytes of a map in fp16 from which on it is computed in strips."""
_STRIPS, _MOST_NODES = 4, 128
_RANK = 4
_FLOAT16 = 2
_ALONG_CHANNELS = ("Concat", "Softmax", "Split")

Range = tuple[int, int]


@dataclass
class _Region:
    """Neighbouring nodes over maps of one size.

    Attributes:
        nodes: in the order of the graph.
        axis: along which strips lie: 2 or 3.
        size: of the maps along it.
    """

    nodes: tuple[ir.Node, ...]
    axis: int
    size: int

    @property
    def name(self) -> str:
        """The name of its last node."""
        return str(self.nodes[-1].name)

    def ends(self) -> list[ir.Value]:
        """What is read outside."""
        inside = set(self.nodes)
        return [
            value
            for node in self.nodes
            for value in node.outputs
            if value.is_graph_output() or any(use.node not in inside for use in value.uses())
        ]


@dataclass
class _Strip:
    """One strip of all maps: which part of each is needed, and what has it."""

    needed: dict[ir.Value, Range] = field(default_factory=dict)
    made: dict[ir.Value, ir.Value] = field(default_factory=dict)

    def need(self, value: ir.Value, part: Range) -> None:
        """Notes that a part of a map is read."""
        low, high = self.needed.get(value, part)
        self.needed[value] = min(low, part[0]), max(high, part[1])


def sites(model: ir.Model) -> tuple[str, ...]:
    """Names of the last nodes of what `apply` can compute in strips."""
    return tuple(region.name for region in _regions(model))


def apply(model: ir.Model, names: Collection[str]) -> ir.Model:
    """A copy in which what ends in these nodes is computed in strips.

    Args:
        model: a float model with fixed shapes.
        names: out of `sites`; others are left as they are.
    """
    result = model.clone()
    edit = Editor(result.graph)
    for region in _regions(result):
        if region.name in names:
            _rewrite(region, edit)
    infer_shapes(result)
    return result


def _regions(model: ir.Model) -> tuple[_Region, ...]:
    """Groups of neighbours that are worth strips; none where they have too many nodes."""
    found = tuple(_groups(model))
    return found if sum(len(region.nodes) for region in found) <= _MOST_NODES else ()


def _groups(model: ir.Model) -> Iterator[_Region]:
    """Groups of neighbours with large maps and several layers."""
    nodes = [node for node in model.graph if _size(node) is not None]
    groups: dict[ir.Node, list[ir.Node]] = {node: [node] for node in nodes}
    for node in nodes:
        for value in node.inputs:
            maker = None if value is None else value.producer()
            if maker in groups and _size(maker) == _size(node):
                first, second = groups[maker], groups[node]
                if first is not second:
                    first.extend(second)
                    groups.update(dict.fromkeys(second, first))
    order = {node: at for at, node in enumerate(nodes)}
    for group in {id(group): group for group in groups.values()}.values():
        size = _size(group[0])
        assert size is not None
        largest = max(_bytes(value) for node in group for value in node.outputs)
        halo = [sum(_halo(node, axis)) for node in group for axis in (2, 3)]
        layers = sum(is_op(node, "Conv") for node in group)
        if largest < LARGE or layers < 2 or not any(halo):
            continue
        axis = 2 if size[0] >= size[1] else 3
        yield _Region(tuple(sorted(group, key=order.__getitem__)), axis, size[axis - 2])


def _bytes(value: ir.Value) -> int:
    shape = static_shape(value)
    return 0 if shape is None else prod(shape) * _FLOAT16


def _map(value: ir.Value | None) -> Shape | None:
    """The shape of a map of floats."""
    shape = static_shape(value)
    fits = shape is not None and len(shape) == _RANK and shape[0] == 1 and is_float(value)
    return shape if fits else None


def _size(node: ir.Node) -> tuple[int, int] | None:
    """Height and width of the maps that a node reads and makes; None where it is not meant."""
    if node.domain != "":
        return None
    variables = [value for value in node.inputs if constant(value) is None and value is not None]
    shapes = [_map(value) for value in (*variables, *node.outputs)]
    sizes = {shape and shape[2:] for shape in shapes}
    if None in sizes or len(sizes) != 1 or not variables:
        return None
    (size,) = sizes
    assert size is not None
    if is_op(node, "Conv"):
        plain = node.attributes.get_string("auto_pad", "NOTSET") == "NOTSET"
        steps = set(ints_attribute(node, "strides") or (1,))
        return (size[0], size[1]) if plain and steps == {1} and len(variables) == 1 else None
    if is_op(node, *_ALONG_CHANNELS):
        axis = node.attributes.get_int("axis", -1 if is_op(node, "Softmax") else 0)
        return (size[0], size[1]) if axis % _RANK == 1 else None
    alike = spec(node.op_type).has(Trait.ELEMENTWISE) and all(
        value is None or constant(value) is None or _is_even(value) for value in node.inputs
    )
    return (size[0], size[1]) if alike else None


def _is_even(value: ir.Value) -> bool:
    """Whether a constant is the same at all places of a map."""
    shape = static_shape(value)
    return shape is not None and all(size == 1 for size in shape[-2:])


def _halo(node: ir.Node, axis: int) -> tuple[int, int]:
    """How many places before and after its own a node reads along an axis."""
    if not is_op(node, "Conv"):
        return 0, 0
    kernel, at = static_shape(node.inputs[1]), axis - 2
    assert kernel is not None
    dilation = (ints_attribute(node, "dilations") or (1, 1))[at]
    before = (ints_attribute(node, "pads") or (0, 0, 0, 0))[at]
    return before, (kernel[axis] - 1) * dilation - before


def _rewrite(region: _Region, edit: Editor) -> None:
    """Computes a region in strips, in place."""
    ends = region.ends()
    bounds = [region.size * at // _STRIPS for at in range(_STRIPS + 1)]
    strips = [(part, _planned(region, ends, part)) for part in pairwise(bounds)]
    for node in region.nodes:
        edit.begin(node)
        for _, strip in strips:
            _compute(node, strip, region, edit)
        for value in set(node.outputs).intersection(ends):
            pieces = [_piece(value, part, strip, region, edit) for part, strip in strips]
            edit.replace(value, edit.op("Concat", *pieces, axis=region.axis))
    for node in reversed(region.nodes):
        edit.remove_if_dead(node)


def _planned(region: _Region, ends: Collection[ir.Value], part: Range) -> _Strip:
    """Which part of each map a part of all ends needs."""
    strip = _Strip()
    for value in ends:
        strip.need(value, part)
    for node in reversed(region.nodes):
        made = [strip.needed[value] for value in node.outputs if value in strip.needed]
        whole = min(low for low, _ in made), max(high for _, high in made)
        strip.needed.update(dict.fromkeys(node.outputs, whole))
        for read in node.inputs:
            if read is not None and constant(read) is None:
                strip.need(read, _read(node, whole, region)[0])
    return strip


def _read(node: ir.Node, part: Range, region: _Region) -> tuple[Range, Range]:
    """What of its maps a node reads for a part of its result, and the padding beside that."""
    before, after = _halo(node, region.axis)
    low, high = part[0] - before, part[1] + after
    inside = max(low, 0), min(high, region.size)
    return inside, (inside[0] - low, high - inside[1])


def _piece(value: ir.Value, part: Range, strip: _Strip, region: _Region, edit: Editor) -> ir.Value:
    """A part of a map, out of a strip or the whole."""
    made = strip.made.get(value)
    start, stop = (0, region.size) if made is None else strip.needed[value]
    if (start, stop) == part:
        return value if made is None else made
    place = integers(part[0] - start), integers(part[1] - start), integers(region.axis)
    return edit.op("Slice", value if made is None else made, *place)


def _compute(node: ir.Node, strip: _Strip, region: _Region, edit: Editor) -> None:
    """Computes one strip of what a node makes."""
    part = strip.needed[node.outputs[0]]
    read, padding = _read(node, part, region)
    inputs = [
        value
        if value is None or constant(value) is not None
        else _piece(value, read, strip, region, edit)
        for value in node.inputs
    ]
    attributes: dict[str, Any] = {one.name: one.value for one in node.attributes.values()}
    if is_op(node, "Conv"):
        pads = list(ints_attribute(node, "pads") or (0, 0, 0, 0))
        pads[region.axis - 2], pads[region.axis] = padding
        attributes["pads"] = pads
    made = edit.ops(node.op_type, *inputs, outputs=len(node.outputs), **attributes)
    strip.made.update(zip(node.outputs, made, strict=True))
