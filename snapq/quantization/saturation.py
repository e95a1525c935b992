"""Ranges no wider than what their readers tell apart.

What goes into a hard swish may lie far below -3, and all of it becomes 0: codes spent on it are
lost to the rest. A tensor that is read by such functions alone takes the range that matters to
them, and saturation does the remainder.

| function | matters |
|---|---|
| HardSwish | above -3 |
| HardSigmoid | where it is neither 0 nor 1 |
| Sigmoid, Tanh | where it is more than half a step of its output from its ends |
| Gelu, Swish as `x * Sigmoid(x)`, both of 8 bits | above -4 and -8: what is below is near to 0 |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf, log

import onnx_ir as ir

from snapq.quantization.decisions import Decision
from snapq.quantization.encodings import QuantType
from snapq.quantization.rules.operators import Family

__all__ = ["told_apart"]

Range = tuple[float, float]

_EVERYTHING: Range = (-inf, inf)


def told_apart(value: ir.Value, decisions: Mapping[ir.Node, Decision]) -> Range:
    """The values of a tensor between which its readers see a difference; infinite for all.

    Args:
        value: an activation.
        decisions: what happens to each node.
    """
    if value.is_graph_output() or not value.uses():
        return _EVERYTHING
    low, high = inf, -inf
    for user in {user for user, _ in value.uses()}:
        own = _by(user, value, decisions)
        low, high = min(low, own[0]), max(high, own[1])
    return low, high


def _by(node: ir.Node, value: ir.Value, decisions: Mapping[ir.Node, Decision]) -> Range:
    decision = decisions.get(node, Decision())
    if decision.rule is None or decision.dtype is None:
        return _EVERYTHING
    if decision.rule.family is Family.MOVEMENT and node.inputs[0] is value:
        ends = [told_apart(output, decisions) for output in node.outputs]
        return min(low for low, _ in ends), max(high for _, high in ends)
    if node.op_type == "Mul":
        return _product(node, value, decision.dtype)
    limits = _LIMITS.get(node.op_type)
    return limits(node, decision.dtype) if limits is not None else _EVERYTHING


def _product(node: ir.Node, value: ir.Value, dtype: QuantType) -> Range:
    """What a Swish tells apart whose sigmoid is a node of its own."""
    others = [other for other in node.inputs if other is not None and other is not value]
    gate = others[0].producer() if len(others) == 1 else None
    if gate is None or gate.op_type != "Sigmoid" or gate.inputs[0] is not value:
        return _EVERYTHING
    return (-8.0, inf) if dtype.bits == 8 else _EVERYTHING


def _hard_sigmoid(node: ir.Node, dtype: QuantType) -> Range:
    slope = node.attributes.get_float("alpha", 0.2)
    middle = node.attributes.get_float("beta", 0.5)
    return (-middle / slope, (1 - middle) / slope) if slope > 0 else _EVERYTHING


def _sigmoid(node: ir.Node, dtype: QuantType) -> Range:
    end = log(2.0 ** (dtype.bits + 1))
    return -end, end


def _tanh(node: ir.Node, dtype: QuantType) -> Range:
    end = log(2.0 ** (dtype.bits + 1)) / 2
    return -end, end


_LIMITS: dict[str, Callable[[ir.Node, QuantType], Range]] = {
    "HardSwish": lambda node, dtype: (-3.0, inf),
    "HardSigmoid": _hard_sigmoid,
    "Sigmoid": _sigmoid,
    "Tanh": _tanh,
    "Gelu": lambda node, dtype: (-4.0, inf) if dtype.bits == 8 else _EVERYTHING,
}
