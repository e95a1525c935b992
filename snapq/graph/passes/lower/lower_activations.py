"""Writes activations that the NPU lacks with those that it has.

1. `Celu(x, a)` = `a Elu(x / a)`.
2. `Mish(x)` = `x tanh(Softplus(x))`.
3. `Softsign(x)` = `x / (1 + |x|)`.
4. `Shrink(x, l, b)` = `(x - b) [x > l] + (x + b) [x < -l]`.
5. `Hardmax(x)` = `[ArgMax(x) = 0, 1, 2, ...]` over the same axis.
6. `Selu(x)` = `gamma Elu(x)` with its alpha, and `ThresholdedRelu(x, a)` = `x [x > a]`, or `Relu`
   for a = 0: the NPU has both in float only.
7. `Clip` with bounds that are not constant = `Min(Max(x, low), high)`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, input_at, is_float, number
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape


def apply(node: ir.Node, edit: Editor) -> Result:
    """Writes one activation with others."""
    source = node.inputs[0]
    if source is None or not is_float(source):
        return False
    return _FORMULAS[node.op_type](node, source, edit)


def _celu(node: ir.Node, source: ir.Value, edit: Editor) -> ir.Value:
    alpha = node.attributes.get_float("alpha", 1.0)
    if alpha == 1:
        return edit.op("Elu", source, alpha=1.0)
    inner = edit.op("Elu", edit.op("Mul", source, number(1 / alpha)), alpha=1.0)
    return edit.op("Mul", inner, number(alpha))


def _shrink(node: ir.Node, source: ir.Value, edit: Editor) -> ir.Value:
    limit, bias = node.attributes.get_float("lambd", 0.5), node.attributes.get_float("bias", 0.0)
    above = edit.op("Greater", source, number(limit))
    below = edit.op("Less", source, number(-limit))
    lower = edit.op("Where", below, edit.op("Add", source, number(bias)), number(0))
    return edit.op("Where", above, edit.op("Sub", source, number(bias)), lower)


def _hardmax(node: ir.Node, source: ir.Value, edit: Editor) -> ir.Value | None:
    shape = static_shape(source)
    if shape is None:
        return None
    axis = node.attributes.get_int("axis", -1) % len(shape)
    place = edit.op("ArgMax", source, axis=axis, keepdims=1)
    positions = np.arange(shape[axis]).reshape(-1, *(1,) * (len(shape) - 1 - axis))
    return edit.op("Cast", edit.op("Equal", place, positions), to=int(ir.DataType.FLOAT))


def _selu(node: ir.Node, source: ir.Value, edit: Editor) -> ir.Value:
    alpha, gamma = (
        node.attributes.get_float(name, default)
        for name, default in (("alpha", 1.67326319217681884765625), ("gamma", 1.0507010221481323))
    )
    return edit.op("Mul", edit.op("Elu", source, alpha=alpha), number(gamma))


def _thresholded(node: ir.Node, source: ir.Value, edit: Editor) -> ir.Value:
    threshold = node.attributes.get_float("alpha", 1.0)
    if threshold == 0:
        return edit.op("Relu", source)
    above = edit.op("Greater", source, number(threshold))
    return edit.op("Where", above, source, number(0))


def _clip(node: ir.Node, source: ir.Value, edit: Editor) -> ir.Value | None:
    bounds = (input_at(node, 1), input_at(node, 2))
    if all(bound is None or constant(bound) is not None for bound in bounds):
        return None
    result = edit.op("Max", source, bounds[0]) if bounds[0] is not None else source
    return edit.op("Min", result, bounds[1]) if bounds[1] is not None else result


_FORMULAS: dict[str, Callable[[ir.Node, ir.Value, Editor], ir.Value | None]] = {
    "Celu": _celu,
    "Mish": lambda node, x, edit: edit.op("Mul", x, edit.op("Tanh", edit.op("Softplus", x))),
    "Softsign": lambda node, x, edit: edit.op(
        "Div", x, edit.op("Add", edit.op("Abs", x), number(1))
    ),
    "Shrink": _shrink,
    "Selu": _selu,
    "ThresholdedRelu": _thresholded,
    "Hardmax": _hardmax,
    "Clip": _clip,
}

OPERATORS = tuple(_FORMULAS)
