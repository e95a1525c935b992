"""Gives each tensor that will be quantized its type, and the encoding that is known beforehand.

An encoding is known where it is imposed, or where the operator has a fixed range.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import onnx_ir as ir

from snapq.quantization.encodings import Encoding, QuantType
from snapq.quantization.precision_rules.ranges import fixed_output
from snapq.quantization.qdq.decisions import Decision, is_float
from snapq.quantization.qdq.groups import Groups
from snapq.quantization.qdq.plan import QdqPlan

__all__ = ["group_tensors"]


def group_tensors(plan: QdqPlan) -> QdqPlan:
    """Puts each tensor into a group of its own."""
    groups = Groups()
    for value in plan.graph.inputs:
        imposed = plan.imposed.get(str(value.name))
        dtype = imposed.dtype if imposed else _wanted_type(value, plan.decisions)
        if dtype and is_float(value):
            groups.add(value, dtype, imposed)
    for node, decision in plan.decisions.items():
        for value in node.outputs:
            if not is_float(value) or not (value.uses() or value.is_graph_output()):
                continue
            dtype = decision.dtype or _wanted_type(value, plan.decisions)
            if dtype:
                groups.add(value, dtype, _known(node, value, decision, plan.imposed))
    return replace(plan, groups=groups)


def _known(
    node: ir.Node, value: ir.Value, decision: Decision, imposed: Mapping[str, Encoding]
) -> Encoding | None:
    given = imposed.get(str(value.name))
    if given is not None or decision.dtype is None:
        return given
    return fixed_output(node.op_type, decision.dtype)


def _wanted_type(value: ir.Value, decisions: Mapping[ir.Node, Decision]) -> QuantType | None:
    """The type in which the first quantized reader takes a tensor that comes in float."""
    for consumer, index in value.uses():
        decision = decisions.get(consumer, Decision())
        if decision.dtype is not None and decision.role(index).quantized:
            return decision.dtype
    return None
