"""Writes recurrent layers of few steps as the products and gates that they are made of.

1. `RNN` of up to 64 steps is unrolled: the NPU does not have it.
2. `LSTM` and `GRU` of up to 8 steps are unrolled: the NPU has them in float only, which makes them
   slower than their products in integers and leaves them out where the NPU has no float. Longer
   ones are unrolled where they are quantized, see `snapq.quantization.qdq.lowering`.
3. The products with the input of all steps are one product.
4. Weights and biases must be constant; peepholes, `clip` and activations other than the default
   ones are left alone.

Source: the equations of the ONNX operators RNN, LSTM and GRU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, input_at, integers, is_used, number
from snapq.graph.passes.base import Result, Skipped
from snapq.graph.shapes import Shape, static_shape

_LONGEST = {"RNN": 64, "LSTM": 8, "GRU": 8}
_RNN_ACTIVATIONS = ("Tanh", "Relu", "Sigmoid")

OPERATORS = tuple(_LONGEST)

State = tuple[ir.Value | None, ...]
"""What goes from one step to the next, `[batch, hidden]` each: `(h,)`, of an LSTM `(h, c)`; None of
zeros."""


Cell = Callable[[ir.Value, State], State]
"""Takes what the input gives the gates at a step, and the state before, to the state behind."""


@dataclass(frozen=True)
class _Layer:
    """One direction of a layer; `g` gates of `n` hidden values over `k` input values.

    Attributes:
        weight: of the input, `[g * n, k]`.
        recurrence: of the hidden state, `[g * n, n]`.
        input_bias: `[g * n]`.
        hidden_bias: `[g * n]`.
        activation: of an RNN.
        reset_first: whether a GRU resets the hidden state before its product.
    """

    weight: np.ndarray
    recurrence: np.ndarray
    input_bias: np.ndarray
    hidden_bias: np.ndarray
    activation: str
    reset_first: bool

    @property
    def hidden(self) -> int:
        return int(self.recurrence.shape[1])

    def gates(self, first: int, last: int) -> slice:
        """The rows of the gates from `first` to before `last`."""
        return slice(first * self.hidden, last * self.hidden)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Unrolls one layer."""
    return unrolled(node, edit, _LONGEST[node.op_type])


def unrolled(node: ir.Node, edit: Editor, longest: int) -> Result:
    """Unrolls one layer of up to so many steps."""
    shape = static_shape(node.inputs[0])
    if shape is None or node.attributes.get_int("layout", 0) != 0:
        return False
    if shape[0] > longest:
        return Skipped(f"it has {shape[0]} steps, and up to {longest} are unrolled")
    layers = _layers(node)
    if layers is None:
        return Skipped("its weights are computed, or it has a clip, peepholes or other activations")
    direction = node.attributes.get_string("direction", "forward")
    hidden: list[list[ir.Value]] = []
    finals: list[State] = []
    for index, layer in enumerate(layers):
        backwards = direction == "reverse" or index == 1
        states = _walk(node, shape, index, layer, backwards, edit)
        finals.append(states[-1])
        ordered = reversed(states) if backwards else states
        hidden.append([state[0] for state in ordered if state[0] is not None])
    _give(node, hidden, finals, (shape[1], layers[0].hidden), edit)
    return True


def _layers(node: ir.Node) -> list[_Layer] | None:
    """The directions of a layer; None where it is one that rule 3 leaves alone."""
    weight, recurrence = constant(input_at(node, 1)), constant(input_at(node, 2))
    bias = constant(input_at(node, 3))
    if weight is None or recurrence is None or (bias is None and input_at(node, 3) is not None):
        return None
    if "clip" in node.attributes or input_at(node, 4) is not None or input_at(node, 7) is not None:
        return None
    if node.attributes.get_int("input_forget", 0):
        return None
    names = node.attributes.get("activations")
    kinds = list(names.as_strings()) if names is not None else ["Tanh"] * len(weight)
    if node.op_type == "RNN" and any(kind not in _RNN_ACTIVATIONS for kind in kinds):
        return None
    if node.op_type != "RNN" and names is not None:
        return None
    rows = weight.shape[1]
    biases = np.zeros((len(weight), 2 * rows), np.float32) if bias is None else bias
    return [
        _Layer(
            weight[index],
            recurrence[index],
            biases[index, :rows],
            biases[index, rows:],
            kinds[index],
            node.attributes.get_int("linear_before_reset", 0) == 0,
        )
        for index in range(len(weight))
    ]


def _walk(
    node: ir.Node, shape: Shape, index: int, layer: _Layer, backwards: bool, edit: Editor
) -> list[State]:
    """The states of one direction, in the order in which they are computed."""
    places = (5, 6) if node.op_type == "LSTM" else (5,)
    size = (shape[1], layer.hidden)
    state: State = tuple(_first(input_at(node, place), index, size, edit) for place in places)
    cell, states = _CELLS[node.op_type](layer, edit), []
    steps = _steps(node, shape, layer, edit)
    for given in reversed(steps) if backwards else steps:
        state = cell(given, state)
        states.append(state)
    return states


def _first(given: ir.Value | None, index: int, size: Shape, edit: Editor) -> ir.Value | None:
    """The state in which one direction begins."""
    if given is None:
        return None
    values = constant(given)
    if values is not None and not values.any():
        return None
    if values is not None:
        return edit.constant(values[index], "begins")
    part = edit.op("Slice", given, integers(index), integers(index + 1), integers(0))
    return edit.op("Reshape", part, integers(*size))


def _steps(node: ir.Node, shape: Shape, layer: _Layer, edit: Editor) -> list[ir.Value]:
    """What the input gives the gates at each step, `[batch, g * n]`, with all biases that add up.

    The bias of a hidden gate that is reset behind its product is left for the step.
    """
    source = node.inputs[0]
    assert source is not None
    bias = layer.input_bias + layer.hidden_bias
    if node.op_type == "GRU" and not layer.reset_first:
        last = layer.gates(2, 3)
        bias[last] = layer.input_bias[last]
    rows = edit.op("Reshape", source, integers(shape[0] * shape[1], shape[2]))
    gates = edit.op("Gemm", rows, layer.weight, bias, transB=1)
    if shape[0] == 1:
        return [gates]
    sizes = integers(*[shape[1]] * shape[0])
    return [*edit.ops("Split", gates, sizes, outputs=shape[0], axis=0)]


def _rnn(layer: _Layer, edit: Editor) -> Cell:
    plus = _Product(layer.recurrence, edit)
    return lambda given, state: (edit.op(layer.activation, plus(given, state[0])),)


def _lstm(layer: _Layer, edit: Editor) -> Cell:
    """Gates in ONNX's order: input, output, forget, cell."""
    size = layer.hidden
    plus = _Product(layer.recurrence, edit)
    fresh_apart, gates_apart = _Parts((3 * size, size), edit), _Parts((size, size, size), edit)

    def step(given: ir.Value, state: State) -> State:
        hidden, cell = state
        gates, fresh = fresh_apart(plus(given, hidden))
        enter, leave, forget = gates_apart(edit.op("Sigmoid", gates))
        new = edit.op("Mul", enter, edit.op("Tanh", fresh))
        if cell is not None:
            new = edit.op("Add", edit.op("Mul", forget, cell), new)
        return edit.op("Mul", leave, edit.op("Tanh", new)), new

    return step


def _gru(layer: _Layer, edit: Editor) -> Cell:
    """Gates in ONNX's order: update, reset, hidden."""
    size, first, last = layer.hidden, layer.gates(0, 2), layer.gates(2, 3)
    bias = np.concatenate([np.zeros(2 * size, np.float32), layer.hidden_bias[last]])
    plus = _Product(layer.recurrence, edit, bias)
    plus_gates = _Product(layer.recurrence[first], edit)
    plus_fresh = _Product(layer.recurrence[last], edit)
    fresh_apart, gates_apart = _Parts((2 * size, size), edit), _Parts((size, size), edit)

    def step(given: ir.Value, state: State) -> State:
        hidden = state[0]
        gates, fresh = fresh_apart(given)
        if layer.reset_first:
            update, reset = gates_apart(edit.op("Sigmoid", plus_gates(gates, hidden)))
            if hidden is not None:
                fresh = plus_fresh(fresh, edit.op("Mul", reset, hidden))
        else:
            kept: ir.Value | np.ndarray = layer.hidden_bias[last]
            if hidden is not None:
                own, kept = fresh_apart(plus.alone(hidden))
                gates = edit.op("Add", gates, own)
            update, reset = gates_apart(edit.op("Sigmoid", gates))
            fresh = edit.op("Add", fresh, edit.op("Mul", reset, kept))
        new = edit.op("Tanh", fresh)
        if hidden is None:
            return (edit.op("Mul", edit.op("Sub", number(1), update), new),)
        return (edit.op("Add", new, edit.op("Mul", update, edit.op("Sub", hidden, new))),)

    return step


class _Product:
    """The product of a state with a matrix that all steps share."""

    def __init__(self, matrix: np.ndarray, edit: Editor, bias: np.ndarray | None = None) -> None:
        self._edit = edit
        self._matrix = edit.constant(matrix, "recurrence")
        self._bias = () if bias is None else (edit.constant(bias, "recurrence_bias"),)

    def alone(self, state: ir.Value) -> ir.Value:
        """`state R.T`, and its bias."""
        return self._edit.op("Gemm", state, self._matrix, *self._bias, transB=1)

    def __call__(self, given: ir.Value, state: ir.Value | None) -> ir.Value:
        """`given + state R.T`; of a state of zeros what is given."""
        return given if state is None else self._edit.op("Add", given, self.alone(state))


class _Parts:
    """Takes rows of several gates apart, at all steps alike."""

    def __init__(self, sizes: tuple[int, ...], edit: Editor) -> None:
        self._edit = edit
        self._count, self._sizes = len(sizes), edit.constant(integers(*sizes), "gates")

    def __call__(self, rows: ir.Value) -> tuple[ir.Value, ...]:
        return tuple(self._edit.ops("Split", rows, self._sizes, outputs=self._count, axis=1))


_CELLS: dict[str, Callable[[_Layer, Editor], Cell]] = {"RNN": _rnn, "LSTM": _lstm, "GRU": _gru}


def _give(
    node: ir.Node,
    hidden: list[list[ir.Value]],
    finals: list[State],
    shape: tuple[int, int],
    edit: Editor,
) -> None:
    """Puts the states in the place of the layer's outputs: Y, Y_h and Y_c."""
    size = (1, *shape)
    if is_used(node.outputs[0]):
        rows = [_concat(states, 0, edit) for states in hidden]
        parts = [edit.op("Reshape", row, integers(len(hidden[0]), *size)) for row in rows]
        edit.replace(node.outputs[0], _concat(parts, 1, edit))
    for place in range(1, len(node.outputs)):
        if is_used(node.outputs[place]):
            lasts = [edit.op("Reshape", state[place - 1], integers(*size)) for state in finals]
            edit.replace(node.outputs[place], _concat(lasts, 0, edit))


def _concat(parts: list[ir.Value], axis: int, edit: Editor) -> ir.Value:
    return edit.op("Concat", *parts, axis=axis) if len(parts) > 1 else parts[0]
