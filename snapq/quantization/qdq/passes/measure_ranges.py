"""Turns what calibration saw of each tensor into a range, by the observer of the scheme."""

from __future__ import annotations

from dataclasses import replace

from snapq.quantization.calibration.observers.base import Observer
from snapq.quantization.calibration.observers.collector import Collector
from snapq.quantization.calibration.observers.minmax import MinMax
from snapq.quantization.encodings import QuantType
from snapq.quantization.qdq.groups import Range
from snapq.quantization.qdq.logits import logits, unmasked
from snapq.quantization.qdq.plan import QdqPlan
from snapq.quantization.qdq.responses import Response, responses

__all__ = ["measure_ranges"]

_NARROW = 8
"""Ranges that were chosen for so many bits may clip; with more they only give room."""


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
        if value not in plan.groups or name not in plan.seen:
            continue
        seen, dtype = plan.seen[name], plan.groups.dtype(value)
        without = unmasked(seen) if name in masked else None
        chosen = plan.scheme.ranges.get(name)
        if without is not None:
            ranges[value] = without
        elif chosen is not None and dtype.bits == _NARROW:
            ranges[value] = chosen
        else:
            ranges[value] = _observed(observer, seen, dtype, behind.get(value))
            if chosen is not None:
                ranges[value] = _union(ranges[value], chosen)
    return replace(plan, ranges=ranges)


def _observed(
    observer: Observer, seen: Collector, dtype: QuantType, function: Response | None
) -> Range:
    """What the observer says; more than 8 bits hold all that was seen."""
    if observer.for_8_bits and dtype.bits > _NARROW:
        found = MinMax().range(seen, dtype)
    elif function is not None:
        found = observer.range_behind(seen, dtype, function)
    else:
        found = observer.range(seen, dtype)
    return found if function is None else _behind(found, function)


def _union(one: Range, other: Range) -> Range:
    return min(one[0], other[0]), max(one[1], other[1])


def _behind(found: Range, function: Response) -> Range:
    """The range of what a function alone reads.

    Where its results are outputs, it holds all that 8 bits of these tell apart: the largest score
    is what counts, and no sample may have had it.
    """
    visible = function.visible() if function.last else None
    return found if visible is None else _union(found, visible)
