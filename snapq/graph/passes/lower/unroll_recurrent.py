"""Writes recurrent layers of few steps as the products and gates that they are made of.

1. `RNN` of up to 64 steps is unrolled: the NPU does not have it.
2. `LSTM` and `GRU` of up to 8 steps are unrolled: the NPU has them in float only, which makes them
   slower than their products in integers and leaves them out where the NPU has no float.
3. Weights and biases must be constant; peepholes, `clip` and activations other than the default
   ones are left alone.

Source: the equations of the ONNX operators RNN, LSTM and GRU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
"""What goes from one step to the next, `[batch, hidden]` each: `(h,)`, of an LSTM `(h, c)`."""


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
    shape = static_shape(node.inputs[0])
    if shape is None or node.attributes.get_int("layout", 0) != 0:
        return False
    if shape[0] > _LONGEST[node.op_type]:
        return Skipped(f"it has {shape[0]} steps, and up to {_LONGEST[node.op_type]} are unrolled")
    layers = _layers(node)
    if layers is None:
        return Skipped("its weights are computed, or it has a clip, peepholes or other activations")
    direction = node.attributes.get_string("direction", "forward")
    hidden: list[list[ir.Value]] = []
    finals: list[State] = []
    for index, layer in enumerate(layers):
        backwards = direction == "reverse" or index == 1
        states = list(_walk(node, shape, index, layer, backwards, edit))
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
) -> Iterator[State]:
    """The states of one direction, in the order in which they are computed."""
    places = (5, 6) if node.op_type == "LSTM" else (5,)
    size = (shape[1], layer.hidden)
    state: State = tuple(_at(input_at(node, place), index, size, edit) for place in places)
    for step in reversed(range(shape[0])) if backwards else range(shape[0]):
        flat = _at(node.inputs[0], step, shape[1:], edit)
        assert flat is not None
        state = _CELLS[node.op_type](layer, flat, state, edit)
        yield state


def _at(given: ir.Value | None, index: int, shape: Shape, edit: Editor) -> ir.Value | None:
    """What is at an index of the first axis; None of nothing."""
    if given is None:
        return None
    part = edit.op("Slice", given, integers(index), integers(index + 1), integers(0))
    return edit.op("Reshape", part, integers(*shape))


def _linear(
    layer: _Layer, source: ir.Value, state: ir.Value | None, rows: slice, edit: Editor
) -> ir.Value:
    """`x W.T + h R.T + both biases` of some gates."""
    bias = layer.input_bias[rows] + layer.hidden_bias[rows]
    result = edit.op("Gemm", source, layer.weight[rows], bias, transB=1)
    if state is None:
        return result
    return edit.op("Add", result, edit.op("Gemm", state, layer.recurrence[rows], transB=1))


def _lstm(layer: _Layer, source: ir.Value, state: State, edit: Editor) -> State:
    """Gates in ONNX's order: input, output, forget, cell."""
    hidden, cell = state
    values = _linear(layer, source, hidden, layer.gates(0, 4), edit)
    sizes = integers(*[layer.hidden] * 4)
    enter, leave, forget, fresh = edit.ops("Split", values, sizes, outputs=4, axis=1)
    new = edit.op("Mul", edit.op("Sigmoid", enter), edit.op("Tanh", fresh))
    if cell is not None:
        new = edit.op("Add", edit.op("Mul", edit.op("Sigmoid", forget), cell), new)
    return edit.op("Mul", edit.op("Sigmoid", leave), edit.op("Tanh", new)), new


def _gru(layer: _Layer, source: ir.Value, state: State, edit: Editor) -> State:
    """Gates in ONNX's order: update, reset, hidden."""
    hidden, last = state[0], layer.gates(2, 3)
    both = edit.op("Sigmoid", _linear(layer, source, hidden, layer.gates(0, 2), edit))
    sizes = integers(layer.hidden, layer.hidden)
    update, reset = edit.ops("Split", both, sizes, outputs=2, axis=1)
    if layer.reset_first:
        kept = None if hidden is None else edit.op("Mul", reset, hidden)
        fresh = edit.op("Tanh", _linear(layer, source, kept, last, edit))
    else:
        given = edit.op("Gemm", source, layer.weight[last], layer.input_bias[last], transB=1)
        bias = layer.hidden_bias[last]
        kept = (
            edit.op("Mul", reset, bias)
            if hidden is None
            else edit.op(
                "Mul", reset, edit.op("Gemm", hidden, layer.recurrence[last], bias, transB=1)
            )
        )
        fresh = edit.op("Tanh", edit.op("Add", given, kept))
    new = edit.op("Mul", edit.op("Sub", number(1), update), fresh)
    if hidden is not None:
        new = edit.op("Add", new, edit.op("Mul", update, hidden))
    return (new,)


_CELLS: dict[str, Callable[[_Layer, ir.Value, State, Editor], State]] = {
    "RNN": lambda layer, source, state, edit: (
        edit.op(layer.activation, _linear(layer, source, state[0], layer.gates(0, 1), edit)),
    ),
    "LSTM": _lstm,
    "GRU": _gru,
}


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
        steps = []
        for states in zip(*hidden, strict=True):
            parts = [edit.op("Reshape", state, integers(1, *size)) for state in states]
            steps.append(_concat(parts, 1, edit))
        edit.replace(node.outputs[0], _concat(steps, 0, edit))
    for place in range(1, len(node.outputs)):
        if is_used(node.outputs[place]):
            lasts = [edit.op("Reshape", state[place - 1], integers(*size)) for state in finals]
            edit.replace(node.outputs[place], _concat(lasts, 0, edit))


def _concat(parts: list[ir.Value], axis: int, edit: Editor) -> ir.Value:
    return edit.op("Concat", *parts, axis=axis) if len(parts) > 1 else parts[0]
