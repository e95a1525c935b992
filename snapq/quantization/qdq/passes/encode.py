"""Gives each tensor the encoding of its group, now that nothing ties tensors any more."""

from __future__ import annotations

from dataclasses import replace

from snapq.quantization.qdq.plan import QdqPlan

__all__ = ["encode"]


def encode(plan: QdqPlan) -> QdqPlan:
    """The encodings of all tensors that are quantized."""
    groups = plan.groups
    encodings = {v: groups.encoding(v, plan.ranges) for v in plan.values if v in groups}
    return replace(plan, encodings=encodings)
