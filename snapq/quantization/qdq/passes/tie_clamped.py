"""Ties a Relu or Clip to what it alone reads.

With the encoding of the clamp's output on its input, saturation does its work, and no code is spent
on values that it would cut off.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from snapq.operators import Encodings
from snapq.quantization.qdq.decisions import Decision
from snapq.quantization.qdq.groups import Groups
from snapq.quantization.qdq.passes.tie_moved import mixes
from snapq.quantization.qdq.plan import QdqPlan

__all__ = ["tie_clamped"]


def tie_clamped(plan: QdqPlan) -> QdqPlan:
    """Ties each clamp, back through data movement, to where its input is computed."""
    for node, decision in plan.decisions.items():
        if decision.encodings is Encodings.CLAMPED and decision.dtype:
            _tie(plan.groups, node, plan.decisions)
    return plan


def _tie(groups: Groups, node: ir.Node, decisions: Mapping[ir.Node, Decision]) -> None:
    chain = []
    value = node.inputs[0]
    while True:
        if value is None or value not in groups or len(value.uses()) != 1:
            return
        producer = value.producer()
        if producer is None or value.is_graph_output() or groups.fixed(value):
            return
        decision = decisions[producer]
        if decision.rule is None or decision.dtype is None:
            return
        chain.append(value)
        if decision.rule.encodings is not Encodings.SHARED:
            break
        if len(producer.outputs) != 1 or mixes(producer):
            return
        value = producer.inputs[0]
    if decision.rule.encodings is not Encodings.OWN or node.outputs[0] not in groups:
        return
    if not groups.tie(node.outputs[0], chain[-1]):
        return
    groups.forget_source(chain[-1])
