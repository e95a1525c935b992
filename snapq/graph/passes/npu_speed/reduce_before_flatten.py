"""Reduces channels before rows and columns become one axis.

1. `Reduce(Reshape(x, [N, C, H W]), axis = 1)` becomes `Reshape(Reduce(x, axis = 1))`, where Reduce
   is ArgMax, ArgMin, ReduceMax or ReduceMin, and the Reshape joins all axes behind the channels.
2. The same of several maps that a Concat joins behind such Reshapes, as detectors join the scores
   of their scales, with Sigmoids and a Transpose of the last two axes in between, where nothing but
   such reductions reads the scores: each map is reduced, and a Concat joins what is left.

The NPU has channels last as long as there are rows and columns. Estimated in us on QCS9075 (QAIRT
2.51), the best of 80 classes and its score over maps of 80 x 80, 40 x 40 and 20 x 20: w8a8 487
joined and 169 apart, w8a16 767 and 255, fp16 1,044 and 299; ArgMax over 80 channels of 80 x 80 at
w8a8 808 behind the Reshape and 93 in front of it, on SA8797P 487 and 88.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import onnx_ir as ir

from snapq.graph.edit import Editor, integers, is_op, permutation, reduced_axes
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape

_PLACES = ("ArgMax", "ArgMin")
OPERATORS = (*_PLACES, "ReduceMax", "ReduceMin")
_FLAT, _LEAST = 3, 4
"""Axes behind the Reshape, and in front of it at least."""
_DEPTH = 8
"""Nodes between a reduction and a Reshape."""


@dataclass(frozen=True)
class _Map:
    """A map with channels second.

    Attributes:
        value: `[N, C, …]`.
        gates: how many Sigmoids stand between it and what is reduced.
    """

    value: ir.Value
    gates: int


def apply(node: ir.Node, edit: Editor) -> Result:
    """Moves one reduction in front of the Reshapes that it reads."""
    value, made = node.inputs[0], static_shape(node.outputs[0])
    axis = _axis(node)
    if value is None or made is None or axis is None:
        return False
    maps = _maps(value, axis, _DEPTH)
    alone = all(is_op(use.node, *OPERATORS) and _axis(use.node) == axis for use in value.uses())
    several = maps is not None and (len(maps) > 1 or any(one.gates for one in maps))
    if not maps or (several and (not alone or value.is_graph_output())):
        return False
    parts = [_reduced(node, one, edit) for one in maps]
    joined = parts[0]
    if len(parts) > 1:
        joined = edit.op("Concat", *parts, axis=1)
        joined.type = node.outputs[0].type
    return edit.op("Reshape", joined, integers(*made))


def _axis(node: ir.Node) -> int | None:
    """The one axis of three that a node reduces; None for others."""
    shape = static_shape(node.inputs[0])
    if shape is None or len(shape) != _FLAT:
        return None
    if node.op_type in _PLACES:
        return node.attributes.get_int("axis", 0) % _FLAT
    axes = reduced_axes(node)
    return axes[0] if axes is not None and len(axes) == 1 else None


def _maps(value: ir.Value, axis: int, depth: int) -> list[_Map] | None:
    """The maps whose channels lie along an axis, in the order of the other one; None if none."""
    node, shape = value.producer(), static_shape(value)
    if node is None or shape is None or len(shape) != _FLAT or axis == 0 or not depth:
        return None
    source = node.inputs[0]
    if is_op(node, "Reshape") and source is not None:
        given = static_shape(source)
        fits = given is not None and len(given) >= _LEAST and given[:2] == shape[:2] and axis == 1
        return [_Map(source, 0)] if fits else None
    if is_op(node, "Concat") and node.attributes.get_int("axis", 0) % _FLAT == _FLAT - axis:
        found = [_inner(one, axis, depth) for one in node.inputs]
        return None if None in found else [one for some in found for one in some or ()]
    if is_op(node, "Transpose") and permutation(node) == (0, 2, 1):
        return _inner(source, _FLAT - axis, depth)
    if is_op(node, "Sigmoid"):
        inner = _inner(source, axis, depth)
        return inner and [_Map(one.value, one.gates + 1) for one in inner]
    return None


def _inner(value: ir.Value | None, axis: int, depth: int) -> list[_Map] | None:
    """The same of a value that one node alone reads."""
    if value is None or len(value.uses()) != 1 or value.is_graph_output():
        return None
    return _maps(value, axis, depth - 1)


def _reduced(node: ir.Node, one: _Map, edit: Editor) -> ir.Value:
    """A map without its channels, flat: `[N, …]`."""
    value, shape = one.value, static_shape(one.value)
    assert shape is not None
    for _ in range(one.gates):
        value = _gated(value, edit)
    if node.op_type in _PLACES:
        last = node.attributes.get_int("select_last_index", 0)
        found = edit.op(node.op_type, value, axis=1, keepdims=0, select_last_index=last)
    else:
        found = edit.op(node.op_type, value, integers(1), keepdims=0)
    found.shape, found.type = ir.Shape((shape[0], *shape[2:])), node.outputs[0].type
    flat = edit.op("Reshape", found, integers(shape[0], -1))
    flat.shape, flat.type = ir.Shape((shape[0], prod(shape[2:]))), found.type
    return flat


def _gated(value: ir.Value, edit: Editor) -> ir.Value:
    """The Sigmoid of a map: the one that another reduction made for itself, where there is one."""
    for use in value.uses():
        if is_op(use.node, "Sigmoid"):
            return use.node.outputs[0]
    made = edit.op("Sigmoid", value)
    made.shape, made.type = value.shape, value.type
    return made
