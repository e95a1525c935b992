"""Recurrent cells: what comes back at the next step, and so pays for its rounding many times.

The cell of an LSTM is a sum that goes on from step to step, as large as the sequence lets it grow,
while what is added at a step is below one; and a state of 8 bits stands still where a change is
less than half of its step. So the cell, its gates, and what they give have 16 bits, and the
products of matrices, which are nearly all of the work, stay at 8 (TensorFlow Lite's integer LSTM
does the same, arXiv:1712.05877 and tensorflow/lite/kernels/lstm_eval.h: 8-bit matrices, 16-bit
cell). A head of few values that reads the state is part of it: a conversion would cost more, and a
probability in steps of 1/256 tells nothing small.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import onnx_ir as ir

from snapq.graph.shapes import static_shape
from snapq.operators import Trait, having

__all__ = ["cells"]

_MOVES = having(Trait.MOVES)
_HEAD = (*having(Trait.SUMS_CHANNELS), *_MOVES, "Add", "Relu", "Sigmoid", "Softmax")
_SMALL_HEAD = 16
"""Values of an output that is part of the cell which it reads."""


def cells(graph: ir.Graph) -> frozenset[str]:
    """Names of the nodes of recurrent cells: gates, state, its ways in and out, small heads.

    1. LSTM: `c = gate * before + gate * tanh(…)`, `h = gate * tanh(c)`.
    2. GRU: `h = (1 - gate) * tanh(…) + gate * before`, or `tanh(…) + gate * (before - tanh(…))`.
    3. What moves the state between these and the inputs and outputs of the graph.
    4. What makes an output of at most 16 values of the state.
    """
    found: set[ir.Node] = set()
    for node in graph:
        found |= _lstm(node) or _gru(node)
    found |= _ways(found)
    for output in graph.outputs:
        found |= _head(output, found)
    return frozenset(str(node.name) for node in found)


def _lstm(node: ir.Node) -> set[ir.Node]:
    """The cell that ends in this sum; empty where it is none."""
    for fresh, kept in _orders(node, "Add", "Mul", "Mul"):
        gates = _by(fresh, "Tanh"), _by(fresh, "Sigmoid"), _by(kept, "Sigmoid")
        if None in gates:
            continue
        given = [user for user, _ in node.outputs[0].uses() if user.op_type == "Tanh"]
        left = [
            (user, other)
            for one in given
            for user, _ in one.outputs[0].uses()
            if user.op_type == "Mul" and (other := _by(user, "Sigmoid")) is not None
        ]
        if left:
            ends = {part for pair in left for part in pair}
            return {node, fresh, kept, *filter(None, gates), *given, *ends}
    return set()


def _gru(node: ir.Node) -> set[ir.Node]:
    """The cell that ends in this sum; empty where it is none."""
    for fresh, kept in _orders(node, "Add", "Mul", "Mul"):
        gate, inverse, entered = _by(kept, "Sigmoid"), _by(fresh, "Sub"), _by(fresh, "Tanh")
        if gate and inverse and entered and _by(inverse, "Sigmoid") is gate:
            return {node, fresh, kept, gate, inverse, entered}
    for entered, kept in _orders(node, "Add", "Tanh", "Mul"):
        gate, difference = _by(kept, "Sigmoid"), _by(kept, "Sub")
        if gate and difference and _by(difference, "Tanh") is entered:
            return {node, entered, kept, gate, difference}
    return set()


def _orders(node: ir.Node, op: str, first: str, second: str) -> Iterator[tuple[ir.Node, ir.Node]]:
    """The two nodes that a node takes, in both orders, where they are of these operators."""
    given = [value.producer() for value in node.inputs if value is not None]
    if node.op_type != op or len(given) != 2:
        return
    for one, other in (given, given[::-1]):
        if one is None or other is None:
            continue
        if one.op_type == first and other.op_type == second:
            yield one, other


def _by(node: ir.Node, op: str) -> ir.Node | None:
    """What gives an input of a node, through moves, if it is this operator.

    Some exporters open several gates at once and take them apart behind the Sigmoid.
    """
    producers = (_giver(value) for value in node.inputs)
    return next((one for one in producers if one is not None and one.op_type == op), None)


def _giver(value: ir.Value | None) -> ir.Node | None:
    node = value.producer() if value is not None else None
    while node is not None and node.op_type in _MOVES and node.op_type != "Concat":
        first = node.inputs[0]
        node = first.producer() if first is not None else None
    return node


def _ways(nodes: Iterable[ir.Node]) -> set[ir.Node]:
    """What moves data from graph inputs to these nodes, and from them to graph outputs."""
    found: set[ir.Node] = set()
    for node in nodes:
        for value in node.inputs:
            found |= _way_in(value)
        for value in node.outputs:
            found |= _way_out(value)
    # Two parts of one state come in by one input: the hidden one goes to the matrices.
    inputs = {v for node in found for v in node.inputs if v is not None and v.is_graph_input()}
    return found | {user for value in inputs for user, _ in value.uses() if user.op_type in _MOVES}


def _way_in(value: ir.Value | None) -> set[ir.Node]:
    """The moves between a graph input and a value; empty where something else gives it."""
    nodes: set[ir.Node] = set()
    while value is not None and not value.is_graph_input():
        node = value.producer()
        if node is None or node.op_type not in _MOVES:
            return set()
        nodes.add(node)
        value = node.inputs[0]
    return nodes


def _way_out(value: ir.Value) -> set[ir.Node]:
    """The moves between a value and a graph output."""
    nodes: set[ir.Node] = set()
    for user, _ in value.uses():
        if user.op_type in _MOVES:
            beyond = [_way_out(output) for output in user.outputs]
            if any(beyond) or any(output.is_graph_output() for output in user.outputs):
                nodes |= {user, *(node for part in beyond for node in part)}
    return nodes


def _head(output: ir.Value, state: set[ir.Node]) -> set[ir.Node]:
    """The nodes between the state and a small output; empty where it reads something else too."""
    shape = static_shape(output)
    if shape is None or np.prod(shape) > _SMALL_HEAD:
        return set()
    nodes: set[ir.Node] = set()
    waiting, reached = [output], False
    while waiting:
        value = waiting.pop()
        node = value.producer()
        if node is None or node in nodes:
            continue
        if node in state:
            reached = True
            continue
        if node.op_type not in _HEAD:
            return set()
        nodes.add(node)
        waiting += [given for given in node.inputs if given is not None]
        if any(given is not None and given.is_graph_input() for given in node.inputs):
            return set()
    return nodes if reached else set()
