"""Turns what calibration saw of each tensor into a range, by the observer of the scheme."""

from __future__ import annotations

from dataclasses import replace

from snapq.quantization.calibration.observers.minmax import MinMax
from snapq.quantization.qdq.groups import Range
from snapq.quantization.qdq.logits import logits, unmasked
from snapq.quantization.qdq.plan import QdqPlan
from snapq.quantization.qdq.responses import Response, responses

__all__ = ["measure_ranges"]

_NARROW = 8
"""Ranges that were chosen for so many bits clip; with more there is no need to."""


def measure_ranges(plan: QdqPlan) -> QdqPlan:
    """Ranges of all tensors that were seen; of logits that are masked, without the masks.

    Observers that weigh clipping against the step are not asked for more than 8 bits: they go by a
    subsample, which misses the one value of 200 among fifty thousand of 10 that a transformer's
    normalizations live by, and where the step is next to nothing they would clip it.
    """
    masked, ranges = logits(plan.graph), {}
    observer, opset = plan.scheme.observer, plan.model.opset_imports.get("", 0)
    behind = responses(plan.graph, plan.decisions, opset) if observer.looks_behind else {}
    for value in plan.values:
        name = str(value.name)
        if value in plan.groups and name in plan.seen:
            seen = plan.seen[name]
            without = unmasked(seen) if name in masked else None
            dtype = plan.groups.dtype(value)
            if without is None and dtype.bits == _NARROW and name in plan.scheme.ranges:
                ranges[value] = plan.scheme.ranges[name]
            elif without is None and value in behind:
                ranges[value] = _behind(
                    observer.range_behind(seen, dtype, behind[value]), behind[value]
                )
            else:
                clips = observer.for_8_bits and dtype.bits > _NARROW
                ranges[value] = without or (MinMax() if clips else observer).range(seen, dtype)
    return replace(plan, ranges=ranges)


def _behind(found: Range, function: Response) -> Range:
    """The range of what a function alone reads.

    Where its results are outputs, it holds all that 8 bits of these tell apart: the largest score
    is what counts, and no sample may have had it.
    """
    visible = function.visible() if function.last else None
    return found if visible is None else (min(found[0], visible[0]), max(found[1], visible[1]))
