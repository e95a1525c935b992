"""Gives a Conv its weights in the order of the channels that it would get.

1. `Conv(x[:, order], w)`, of one group, becomes `Conv(x, w[:, order⁻¹])`, whatever Gathers, Slices,
   Reshapes and Transposes put the channels in order, where the Conv alone reads them.

Networks trained on pictures in BGR turn RGB round so. A normalization in front goes into the Conv
then, too. Estimated in us on QCS9075 (QAIRT 2.51), RTMPose-M: w8a8 1,257 with the order in the
graph and 1,216 folded, fp16 2,459 and 2,441.
"""

from __future__ import annotations

from math import prod

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, is_op, permutation
from snapq.graph.passes.base import Result
from snapq.graph.passes.slices import taken
from snapq.graph.shapes import Shape, static_shape

OPERATORS = ("Conv",)
_MOVES = ("Gather", "Reshape", "Slice", "Transpose")
_MOST = 1 << 24
"""Elements whose way is followed."""

Places = np.ndarray
"""Where each element comes from, counted through the source."""


def apply(node: ir.Node, edit: Editor) -> Result:
    """Changes the weights of one Conv."""
    weight, shape = constant(node.inputs[1]), static_shape(node.inputs[0])
    if weight is None or shape is None or node.attributes.get_int("group", 1) != 1:
        return False
    if prod(shape) > _MOST:
        return False
    moves = _moves(node.inputs[0])
    for start, first in enumerate(moves):
        source = first.inputs[0]
        if source is None or static_shape(source) != shape:
            continue
        order = _order(moves[start:], shape)
        if order is not None:
            edit.set_constant(node, 1, weight[:, np.argsort(order)])
            node.replace_input_with(0, source)
            edit.remove_if_dead(moves[-1])
            return True
    return False


def _moves(value: ir.Value | None) -> list[ir.Node]:
    """The nodes that move elements on the way to a value, each read by the next alone, in order."""
    found: list[ir.Node] = []
    while value is not None and len(value.uses()) == 1 and not value.is_graph_output():
        maker = value.producer()
        if maker is None or not is_op(maker, *_MOVES):
            break
        found.insert(0, maker)
        value = maker.inputs[0]
    return found


def _order(moves: list[ir.Node], shape: Shape) -> list[int] | None:
    """Which channel comes at each place; None where elements go elsewhere too."""
    places = np.arange(prod(shape), dtype=np.int32).reshape(shape)
    moved: Places | None = places
    for move in moves:
        moved = _moved(moved, move) if moved is not None else None
    if moved is None or moved.shape != tuple(shape):
        return None
    inner = prod(shape[2:])
    order = (moved[0].reshape(shape[1], inner)[:, 0] // inner).tolist()
    if sorted(order) != list(range(shape[1])) or order == sorted(order):
        return None
    return order if np.array_equal(moved, places[:, order]) else None


def _moved(places: Places, move: ir.Node) -> Places | None:
    """What a node makes of the places."""
    if is_op(move, "Transpose"):
        return places.transpose(permutation(move))
    if is_op(move, "Reshape"):
        shape = static_shape(move.outputs[0])
        return None if shape is None else places.reshape(shape)
    if is_op(move, "Slice"):
        found = taken(move, [range(size) for size in places.shape])
        return None if found is None else places[np.ix_(*map(list, found))]
    indices = constant(move.inputs[1])
    axis = move.attributes.get_int("axis", 0)
    if indices is None or indices.ndim != 1:
        return None
    return places.take(indices, axis)
