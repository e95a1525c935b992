"""Finds Relu, LeakyRelu and Clip in comparisons with constants.

1. `max(x, 0)` and `Clip(x, 0, infinity)` become `Relu(x)`.
2. `max(x, a x)` with 0 < a < 1 becomes `LeakyRelu(x, a)`.
3. `min(max(x, a), b)` and `max(min(x, b), a)` with a <= b become `Clip(x, a, b)`; so does
   `min(Relu(x), b)` with a = 0.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, input_at, is_float, same_shape, scalar, sole_producer
from snapq.graph.passes.algebra import polynomial
from snapq.graph.passes.base import Result

OPERATORS = ("Max", "Min", "Clip")


def apply(node: ir.Node, edit: Editor) -> Result:
    """Makes one activation of a comparison."""
    if not is_float(node.outputs[0]):
        return False
    if node.op_type != "Clip":
        return _bounded(node, edit) or _from_max(node, edit)
    upper = input_at(node, 2)
    if scalar(input_at(node, 1)) == 0 and (upper is None or scalar(upper) == np.inf):
        return edit.op("Relu", node.inputs[0])
    return False


def _from_max(node: ir.Node, edit: Editor) -> ir.Value | None:
    if node.op_type != "Max" or len(node.inputs) != 2:
        return None
    for index in (0, 1):
        source, other = node.inputs[index], node.inputs[1 - index]
        if source is None or other is None or not same_shape(source, node.outputs[0]):
            continue
        if scalar(other) == 0:
            return edit.op("Relu", source)
        found = polynomial(other, [source])
        if found is not None and set(found) == {(1,)} and 0 < found[(1,)] < 1:
            return edit.op("LeakyRelu", source, alpha=found[(1,)])
    return None


def _bounded(node: ir.Node, edit: Editor) -> ir.Value | None:
    outer = _with_bound(node)
    inner_node = sole_producer(outer[0], "Max", "Min", "Relu") if outer is not None else None
    if outer is None or inner_node is None or inner_node.op_type == node.op_type:
        return None
    if inner_node.op_type == "Relu":
        inner = (inner_node.inputs[0], 0.0) if node.op_type == "Min" else None
    else:
        inner = _with_bound(inner_node)
    if inner is None:
        return None
    source, bound = inner
    low, high = (bound, outer[1]) if node.op_type == "Min" else (outer[1], bound)
    if source is None or low > high or not same_shape(source, node.outputs[0]):
        return None
    return edit.op("Clip", source, np.array(low, np.float32), np.array(high, np.float32))


def _with_bound(node: ir.Node) -> tuple[ir.Value | None, float] | None:
    """The value and the constant number that a Max or Min compares."""
    if len(node.inputs) != 2:
        return None
    for index in (0, 1):
        number, value = scalar(node.inputs[1 - index]), node.inputs[index]
        if number is not None and value is not None:
            return value, number
    return None
