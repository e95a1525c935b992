"""Gives operators that wrap around on the NPU, and do not saturate, room above what was seen."""

from __future__ import annotations

from dataclasses import replace

from snapq.quantization.precision_rules.ranges import with_headroom
from snapq.quantization.qdq.plan import QdqPlan

__all__ = ["leave_headroom"]


def leave_headroom(plan: QdqPlan) -> QdqPlan:
    """Widens the ranges of what these operators give."""
    ranges = {
        value: with_headroom(node.op_type, limits) if (node := value.producer()) else limits
        for value, limits in plan.ranges.items()
    }
    return replace(plan, ranges=ranges)
