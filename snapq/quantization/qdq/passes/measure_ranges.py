"""Turns what calibration saw of each tensor into a range, by the observer of the scheme."""

from __future__ import annotations

from dataclasses import replace

from snapq.quantization.qdq.logits import logits, unmasked
from snapq.quantization.qdq.plan import QdqPlan

__all__ = ["measure_ranges"]


def measure_ranges(plan: QdqPlan) -> QdqPlan:
    """Ranges of all tensors that were seen; of logits that are masked, without the masks."""
    masked, ranges = logits(plan.graph), {}
    for value in plan.values:
        name = str(value.name)
        if value in plan.groups and name in plan.seen:
            seen = plan.seen[name]
            without = unmasked(seen) if name in masked else None
            dtype = plan.groups.dtype(value)
            ranges[value] = without or plan.scheme.observer.range(seen, dtype)
    return replace(plan, ranges=ranges)
