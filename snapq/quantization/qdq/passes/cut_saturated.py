"""Ranges no wider than what their readers tell apart.

What goes into a hard swish may lie far below -3, and all of it becomes 0: codes spent on it are
lost to the rest. A tensor that is read by such functions alone takes the range that matters to
them, and saturation does the remainder.

Ends of other functions (Sigmoid, Tanh, Gelu) are left to the observers: with those cut too, the
steps of `best` came to a worse model of PP-OCRv6 than without.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import inf

import numpy as np
import onnx_ir as ir

from snapq.operators import Encodings
from snapq.quantization.qdq.decisions import Decision
from snapq.quantization.qdq.groups import Range
from snapq.quantization.qdq.plan import QdqPlan

__all__ = ["cut_saturated", "visible_range"]

_EVERYTHING: Range = (-inf, inf)
_LIMITS: Mapping[str, Range] = {"HardSwish": (-3.0, inf)}


def cut_saturated(plan: QdqPlan) -> QdqPlan:
    """Cuts each range to the part in which the readers of the tensor see a difference."""
    ranges = {}
    for value, (first, last) in plan.ranges.items():
        low, high = visible_range(value, plan.decisions)
        ranges[value] = float(np.clip(first, low, high)), float(np.clip(last, low, high))
    return replace(plan, ranges=ranges)


def visible_range(value: ir.Value, decisions: Mapping[ir.Node, Decision]) -> Range:
    """The values of an activation between which its readers see a difference; infinite for all."""
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
    if decision.rule.encodings is Encodings.SHARED and node.inputs[0] is value:
        ends = [visible_range(output, decisions) for output in node.outputs]
        return min(low for low, _ in ends), max(high for _, high in ends)
    return _LIMITS.get(node.op_type, _EVERYTHING)
