"""Raises the ranges of logits with a constant mask, one as small as Swin's -100 too.

In `Softmax(x + mask)` each row holds a sum of at least the smallest x and the row's largest value
of the mask; what is 16 below the least of them is nothing, whatever the row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx_ir as ir

from snapq.graph.shapes import static_shape
from snapq.operators import Trait, having
from snapq.quantization.qdq.decisions import constant
from snapq.quantization.qdq.groups import Range
from snapq.quantization.qdq.logits import BELOW
from snapq.quantization.qdq.plan import QdqPlan

__all__ = ["raise_masked"]

_RESHAPES = ("Identity", *having(Trait.RESHAPES))
RangeOf = Callable[[ir.Value], Range | None]
"""The range of a computed tensor, where known."""


def raise_masked(plan: QdqPlan) -> QdqPlan:
    """Raises the low end of each such sum, and of what changes of shape make of it."""

    def range_of(value: ir.Value) -> Range | None:
        return plan.groups.range(value, plan.ranges) if value in plan.groups else None

    ranges = dict(plan.ranges)
    for value, low in _lowest(plan.graph, range_of).items():
        if value in ranges:
            ranges[value] = max(ranges[value][0], low), max(ranges[value][1], low)
    return replace(plan, ranges=ranges)


def _lowest(graph: ir.Graph, range_of: RangeOf) -> dict[ir.Value, float]:
    found: dict[ir.Value, float] = {}
    for node in graph:
        if node.op_type != "Softmax":
            continue
        chain = [node.inputs[0]]
        while chain[-1] is not None and _only_reshaped(chain[-1]):
            chain.append(chain[-1].producer().inputs[0])  # type: ignore[union-attr]
        values = [value for value in chain if value is not None]
        limit = _limit(values[-1], range_of) if values and _rows_stay(node, values) else None
        if limit is not None and all(len(value.uses()) == 1 for value in values):
            found |= dict.fromkeys(values, limit)
    return found


def _only_reshaped(value: ir.Value) -> bool:
    producer = value.producer()
    return producer is not None and producer.op_type in _RESHAPES


def _rows_stay(softmax: ir.Node, values: list[ir.Value]) -> bool:
    """Whether the rows of a Softmax lie along the last dimension of all of these."""
    shapes = [static_shape(value) for value in values]
    axis = softmax.attributes.get_int("axis", -1)
    known = [shape for shape in shapes if shape]
    last = axis == -1 or (bool(known) and axis == len(known[0]) - 1)
    return last and len(known) == len(shapes) and len({shape[-1] for shape in known}) == 1


def _limit(total: ir.Value, range_of: RangeOf) -> float | None:
    node = total.producer()
    if node is None or node.op_type != "Add":
        return None
    for value, other in (node.inputs, tuple(reversed(node.inputs))):
        tensor = constant(value)
        limits = range_of(other) if tensor is not None and other is not None else None
        if tensor is None or limits is None:
            continue
        mask = np.asarray(tensor.numpy(), np.float64)
        if mask.ndim and mask.size:
            return limits[0] + float(mask.max(axis=-1).min()) - BELOW
    return None
