"""Writes recurrent layers that the NPU lacks with those that it has.

1. `RNN` of up to 64 steps is unrolled: `h = f(x W.T + h R.T + b)` step by step, in one or both
   directions.
2. `LSTM` and `GRU` that take the batch as first dimension are turned.
3. `sequence_lens` that is constant and gives every sequence its full length is left out.

Source: the equations of the ONNX operator RNN.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edits import (
    Editor,
    constant,
    constant_ints,
    input_at,
    int_attribute,
    integers,
    string_attribute,
)
from snapq.graph.rewriting import Phase, Rule
from snapq.graph.shapes import static_shape

_LONGEST = 64
_ACTIVATIONS = ("Tanh", "Relu", "Sigmoid")

RULE = Rule(Phase.LOWER, ("RNN", "LSTM", "GRU"))


def rewrite(node: ir.Node, edit: Editor) -> bool:
    """Writes one recurrent layer in a form that the NPU has."""
    shape = static_shape(node.inputs[0])
    if shape is None:
        return False
    turned = int_attribute(node, "layout", 0) == 1
    steps = shape[1] if turned else shape[0]
    if _drop_lengths(node, steps):
        return True
    if turned:
        return _turn(node, edit)
    return node.op_type == "RNN" and _unroll(node, shape, edit)


def _drop_lengths(node: ir.Node, steps: int) -> bool:
    lengths = constant_ints(input_at(node, 4))
    if lengths is None or set(lengths) != {steps}:
        return False
    node.replace_input_with(4, None)
    return True


def _turn(node: ir.Node, edit: Editor) -> bool:
    """Exchanges batch and time around a layer of layout 1."""
    inputs = list(node.inputs)
    for index, value in enumerate(inputs):
        if index in (0, 5, 6) and value is not None:
            inputs[index] = edit.op("Transpose", value, perm=[1, 0, 2])
    kept = {
        name: attribute.value for name, attribute in node.attributes.items() if name != "layout"
    }
    results = edit.ops(node.op_type, *inputs, outputs=len(node.outputs), **kept)
    for index, (old, new) in enumerate(zip(node.outputs, results, strict=True)):
        if old.uses() or old.is_graph_output():
            order = [2, 0, 1, 3] if index == 0 else [1, 0, 2]
            edit.replace(old, edit.op("Transpose", new, perm=order))
    return True


def _unroll(node: ir.Node, shape: tuple[int, ...], edit: Editor) -> bool:
    arrays = [constant(input_at(node, index)) for index in (1, 2)]
    given = input_at(node, 3)
    bias = constant(given)
    direction = string_attribute(node, "direction", "forward")
    names = node.attributes.get("activations")
    kinds = list(names.as_strings()) if names is not None else ["Tanh"] * 2
    if arrays[0] is None or arrays[1] is None or (given is not None and bias is None):
        return False
    if shape[0] > _LONGEST or input_at(node, 4) is not None or "clip" in node.attributes:
        return False
    if any(kind not in _ACTIVATIONS for kind in kinds):
        return False
    hidden, finals = [], []
    for index in range(arrays[0].shape[0]):
        backwards = direction == "reverse" or index == 1
        parameters = (arrays[0][index], arrays[1][index], None if bias is None else bias[index])
        states = _direction(node, shape, index, backwards, parameters, kinds[index], edit)
        hidden.append(states)
        finals.append(states[0] if backwards else states[-1])
    size = (1, shape[1], arrays[1].shape[-1])
    if node.outputs[0].uses() or node.outputs[0].is_graph_output():
        steps = []
        for states_of_step in zip(*hidden, strict=True):
            parts = [edit.op("Reshape", state, integers(1, *size)) for state in states_of_step]
            steps.append(edit.op("Concat", *parts, axis=1) if len(parts) > 1 else parts[0])
        every = edit.op("Concat", *steps, axis=0) if len(steps) > 1 else steps[0]
        edit.replace(node.outputs[0], every)
    if len(node.outputs) > 1 and (node.outputs[1].uses() or node.outputs[1].is_graph_output()):
        lasts = [edit.op("Reshape", state, integers(*size)) for state in finals]
        last = edit.op("Concat", *lasts, axis=0) if len(lasts) > 1 else lasts[0]
        edit.replace(node.outputs[1], last)
    return True


def _direction(
    node: ir.Node,
    shape: tuple[int, ...],
    index: int,
    backwards: bool,
    parameters: tuple[np.ndarray, np.ndarray, np.ndarray | None],
    kind: str,
    edit: Editor,
) -> list[ir.Value]:
    """Hidden states `[batch, hidden]` of one direction, in the order of time."""
    weight, recurrence, bias = parameters
    hidden = recurrence.shape[0]
    total = np.zeros(hidden, np.float32)
    if bias is not None:
        total = bias[:hidden] + bias[hidden:]
    initial = input_at(node, 5)
    state: ir.Value | None = None
    if initial is not None:
        part = edit.op("Slice", initial, integers(index), integers(index + 1), integers(0))
        state = edit.op("Reshape", part, integers(shape[1], hidden))
    states = []
    order = range(shape[0])
    for step in reversed(order) if backwards else order:
        part = edit.op("Slice", node.inputs[0], integers(step), integers(step + 1), integers(0))
        flat = edit.op("Reshape", part, integers(*shape[1:]))
        value = edit.op("Gemm", flat, weight, total, transB=1)
        if state is not None:
            value = edit.op("Add", value, edit.op("Gemm", state, recurrence, transB=1))
        state = edit.op(kind, value)
        states.append(state)
    return list(reversed(states)) if backwards else states
