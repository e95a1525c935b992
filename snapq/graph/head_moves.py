"""Where numbers go through Reshapes and Transposes: heads of attention, and channels."""

from __future__ import annotations

from math import prod

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import permutation
from snapq.graph.shapes import Shape, static_shape

__all__ = [
    "MOVES",
    "moved_from",
    "moves_behind",
    "only_user",
    "puts_heads_back",
    "turn_of_heads",
]

MOVES = ("Reshape", "Transpose")
_CODES = ("QuantizeLinear", "DequantizeLinear")


def moved_from(value: ir.Value) -> tuple[ir.Value, list[ir.Node]]:
    """What a value is a move of, through Reshapes, Transposes and encodings, and the way there."""
    moves: list[ir.Node] = []
    source, best = value, 0
    while (maker := value.producer()) is not None:
        if maker.op_type not in (*_CODES, *MOVES) or maker.inputs[0] is None:
            break
        if maker.op_type == "DequantizeLinear" and maker.inputs[0].producer() is None:
            break
        moves.insert(0, maker)
        value = maker.inputs[0]
        if maker.op_type in MOVES:
            source, best = value, len(moves)
    return source, moves[len(moves) - best :] if best else []


def only_user(value: ir.Value) -> ir.Node | None:
    """The one node that reads a value; None where several do, or the model gives it."""
    users = list(value.uses())
    return users[0].node if len(users) == 1 and not value.is_graph_output() else None


def moves_behind(value: ir.Value) -> list[ir.Node]:
    """Moves and encodings behind a value, each its one reader, up to the last of the moves."""
    moves: list[ir.Node] = []
    user, last = only_user(value), 0
    while user is not None and user.op_type in (*_CODES, *MOVES):
        moves.append(user)
        if user.op_type in MOVES:
            last = len(moves)
        user = only_user(user.outputs[0])
    return moves[:last]


def turn_of_heads(moves: list[ir.Node], channels: Shape, shape: Shape, heads: int) -> bool | None:
    """Whether moves take heads out of channels as they are (False) or turned (True); else None."""
    count = prod(channels)
    if prod(shape) != count or channels[-1] % heads:
        return None
    rows = np.arange(count).reshape(-1, channels[-1])
    if (moved := _moved(np.arange(count).reshape(channels), moves)) is None:
        return None
    by_head = moved.reshape(heads, *shape[-2:])
    expected = np.stack(np.split(rows, heads, 1))
    if by_head.shape == expected.shape and np.array_equal(by_head, expected):
        return False
    turned = expected.transpose(0, 2, 1)
    return True if by_head.shape == turned.shape and np.array_equal(by_head, turned) else None


def _moved(array: np.ndarray, moves: list[ir.Node]) -> np.ndarray | None:
    """What moves make of an array."""
    for move in moves:
        if move.op_type == "Transpose":
            array = array.transpose(permutation(move))
        elif move.op_type == "Reshape":
            shape = static_shape(move.outputs[0])
            if shape is None:
                return None
            array = array.reshape(shape)
    return array


def puts_heads_back(moves: list[ir.Node], shape: Shape) -> bool:
    """Whether moves put heads `[…, H, T, D]` beside each other as channels `[… T, H D]`."""
    array = np.arange(prod(shape)).reshape(shape)
    moved = _moved(array, moves)
    expected = array.swapaxes(-3, -2)
    return moved is not None and np.array_equal(moved.reshape(-1), expected.reshape(-1))
