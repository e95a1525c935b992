"""Finds Softmax, LogSoftmax and Softplus in their parts.

1. `exp(x) / sum(exp(x))` over one axis becomes `Softmax(x)`; where x is `y - max(y)` over the same
   axis, `Softmax(y)`.
2. `log(Softmax(x))` becomes `LogSoftmax(x)`.
3. `log(1 + exp(x))` becomes `Softplus(x)`, and `log(sigmoid(x))` becomes `-Softplus(-x)`: what a
   Sigmoid gives in fp16 or integers is 0 for much of what has a logarithm.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, is_float, producer, rank, reduced_axes, sole_producer
from snapq.graph.passes.algebra import matches, polynomial
from snapq.graph.passes.base import Result

OPERATORS = ("Div", "Log")


def apply(node: ir.Node, edit: Editor) -> Result:
    """Makes one operator of a Div or Log and what leads to it."""
    return _softmax(node, edit) if node.op_type == "Div" else _logarithm(node, edit)


def _softmax(node: ir.Node, edit: Editor) -> ir.Value | None:
    power = producer(node.inputs[0], "Exp")
    total = producer(node.inputs[1], "ReduceSum")
    if power is None or total is None or total.inputs[0] is not node.inputs[0]:
        return None
    axes = reduced_axes(total)
    source = power.inputs[0]
    if axes is None or len(axes) != 1 or not total.attributes.get_int("keepdims", 1):
        return None
    shifted = producer(source, "Sub")
    if shifted is not None:
        peak = producer(shifted.inputs[1], "ReduceMax")
        if peak is not None and peak.inputs[0] is shifted.inputs[0] and reduced_axes(peak) == axes:
            source = shifted.inputs[0]
    return edit.op("Softmax", source, axis=axes[0])


def _logarithm(node: ir.Node, edit: Editor) -> ir.Value | None:
    source = node.inputs[0]
    softmax = sole_producer(source, "Softmax")
    if softmax is not None:
        dims = rank(softmax.inputs[0])
        axis = softmax.attributes.get_int("axis", -1)
        return edit.op("LogSoftmax", softmax.inputs[0], axis=axis % dims if dims else axis)
    gate = sole_producer(source, "Sigmoid")
    if gate is not None and is_float(source):
        return edit.op("Neg", edit.op("Softplus", edit.op("Neg", gate.inputs[0])))
    added = producer(source, "Add")
    if added is None or source is None or not is_float(source):
        return None
    for value in added.inputs:
        power = producer(value, "Exp")
        if power is not None and matches(
            polynomial(source, [power.outputs[0]]), {(1,): 1.0, (0,): 1.0}
        ):
            return edit.op("Softplus", power.inputs[0])
    return None
