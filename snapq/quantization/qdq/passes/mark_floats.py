"""Marks the nodes that stay in float on purpose, so that lint and others know."""

from __future__ import annotations

from snapq.quantization.qdq.decisions import KEPT_FLOAT, NOTHING
from snapq.quantization.qdq.plan import QdqPlan

__all__ = ["mark_floats"]


def mark_floats(plan: QdqPlan) -> QdqPlan:
    """Writes into the metadata of each node in float why it is."""
    for node, decision in plan.decisions.items():
        if decision.dtype is None:
            node.metadata_props[KEPT_FLOAT] = decision.reason or NOTHING
    return plan
