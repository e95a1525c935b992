"""Lets nodes that only move data or clamp follow what comes in.

They are not worth a conversion, and what is imposed with 8 bits at an input stays so until it is
computed with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import onnx_ir as ir

from snapq.operators import Encodings
from snapq.quantization.encodings import Encoding, QuantType
from snapq.quantization.qdq.decisions import Decision
from snapq.quantization.qdq.plan import QdqPlan
from snapq.quantization.qdq.scheme import Scheme

__all__ = ["follow_types"]


def follow_types(plan: QdqPlan) -> QdqPlan:
    """Gives these nodes the type of their source, unless the scheme names them."""
    decisions = dict(plan.decisions)
    for node, decision in decisions.items():
        if decision.rule is None or not decision.rule.follows:
            continue
        named = plan.scheme.per_node.get(str(node.name))
        if named is None or named.activations is None:
            dtype = _followed(node, decision, decisions, plan.scheme, plan.imposed)
            decisions[node] = Decision(decision.rule, dtype) if dtype else Decision()
    return replace(plan, decisions=decisions)


def _followed(
    node: ir.Node,
    decision: Decision,
    decisions: Mapping[ir.Node, Decision],
    scheme: Scheme,
    imposed: Mapping[str, Encoding],
) -> QuantType | None:
    """The type of a node that moves or clamps data: that of its source, else what is wanted."""
    rule = decision.rule
    if rule is None:
        return None
    if rule.encodings is Encodings.CLAMPED:
        return _clamp_type(node, decision, decisions)
    sources = [v for i, v in enumerate(node.inputs) if v is not None and rule.role(i).quantized]
    if rule.encodings is Encodings.SHARED:
        source = sources[0]
        if source.is_graph_input() and str(source.name) in imposed:
            return imposed[str(source.name)].dtype
        producer = source.producer()
        if producer is not None and decisions[producer].dtype is not None:
            return decisions[producer].dtype
        if source.is_graph_input() and _for_float_alone(node, decisions):
            return None
    produced = [p for v in sources if (p := v.producer()) is not None]
    types = {decisions[p].dtype for p in produced}
    if produced and types == {None}:
        return _wanted(node, decisions)
    held = types - {None}
    if (
        rule.encodings is Encodings.JOINED
        and len(types) == len(held) == 1
        and len(produced) == len(sources)
    ):
        return held.pop()
    return scheme.activation_type or max(held, key=lambda t: t.bits if t else 0, default=None)


def _clamp_type(
    node: ir.Node, decision: Decision, decisions: Mapping[ir.Node, Decision]
) -> QuantType | None:
    """A clamp joins the node whose output it alone reads, in float too."""
    source = node.inputs[0]
    producer = source.producer() if source is not None else None
    if source is None or producer is None:
        return decision.dtype
    alone = len(source.uses()) == 1 and not source.is_graph_output()
    return decisions[producer].dtype if alone else decision.dtype


def _for_float_alone(node: ir.Node, decisions: Mapping[ir.Node, Decision]) -> bool:
    """Whether what a node moves is computed with in float, and nowhere else."""
    readers = [(user, index) for output in node.outputs for user, index in output.uses()]
    if not readers or any(output.is_graph_output() for output in node.outputs):
        return False
    for user, index in readers:
        decision = decisions.get(user, Decision())
        moved = decision.encodings is Encodings.SHARED
        if moved and index == 0 and _for_float_alone(user, decisions):
            continue
        if decision.rule is not None or not decision.reason:
            return False
    return True


def _wanted(node: ir.Node, decisions: Mapping[ir.Node, Decision]) -> QuantType | None:
    """The type of the quantized node, near or far, that computes with what this node moves."""
    for output in node.outputs:
        for consumer, index in output.uses():
            decision = decisions.get(consumer, Decision())
            if decision.rule is None or not decision.role(index).quantized:
                continue
            if decision.rule.encodings not in (Encodings.SHARED, Encodings.JOINED):
                return decision.dtype
            found = _wanted(consumer, decisions)
            if found is not None:
                return found
    return None
