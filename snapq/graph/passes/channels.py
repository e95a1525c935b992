"""The order into which operators that move elements put the channels of a tensor."""

from __future__ import annotations

from math import prod

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import constant, is_op, permutation
from snapq.graph.passes.slices import taken
from snapq.graph.shapes import Shape, static_shape

__all__ = ["MOVES", "channel_order", "moves_to"]

MOVES = ("Gather", "Reshape", "Slice", "Transpose")
_MOST = 1 << 24
"""Elements whose way is followed."""

Places = np.ndarray
"""Where each element comes from, counted through the source."""


def moves_to(value: ir.Value | None) -> list[ir.Node]:
    """The nodes that move elements on the way to a value, each read by the next alone, in order."""
    found: list[ir.Node] = []
    while value is not None and len(value.uses()) == 1 and not value.is_graph_output():
        maker = value.producer()
        if maker is None or not is_op(maker, *MOVES):
            break
        found.insert(0, maker)
        value = maker.inputs[0]
    return found


def channel_order(moves: list[ir.Node], shape: Shape) -> list[int] | None:
    """Which channel comes at each place; None where elements go elsewhere too."""
    if prod(shape) > _MOST:
        return None
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
