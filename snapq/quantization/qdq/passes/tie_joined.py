"""Ties what a Concat joins: with one encoding it costs nothing, else the NPU converts.

The tie is not made where another reader of an input would lose steps.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.operators import Encodings
from snapq.quantization.qdq.decisions import Decision, constant
from snapq.quantization.qdq.groups import constant_range, within
from snapq.quantization.qdq.plan import QdqPlan

__all__ = ["tie_joined"]

_MUCH_SMALLER = 0.25
"""An input of a Concat with other readers keeps its own encoding where its range is below this
share of the range of all: it would lose two bits and more."""


def tie_joined(plan: QdqPlan) -> QdqPlan:
    """Ties the inputs of each Concat to its output, where nothing speaks against it.

    An imposed encoding is not carried over to the others, unless all have the same one. An input
    with other readers is not tied to a range that is much larger than its own, nor a Concat of
    what operators of a fixed range give to something wider.
    """
    for node, decision in plan.decisions.items():
        if decision.encodings is Encodings.JOINED and decision.dtype:
            _join(plan, node, decision)
    return plan


def _join(plan: QdqPlan, node: ir.Node, decision: Decision) -> None:
    output, groups, ranges = node.outputs[0], plan.groups, plan.ranges
    if output not in groups:
        return
    inputs = []
    for value in node.inputs:
        tensor = constant(value)
        if tensor is not None:
            groups.include(output, constant_range(tensor))
        elif value is not None and value in groups and groups.dtype(value) is decision.dtype:
            inputs.append(value)
    imposed = {groups.fixed(value) for value in inputs}
    only = imposed.pop() if len(imposed) == 1 else None
    if only is not None and groups.fixed(output) is None:
        given = any(str(value.name) in plan.imposed for value in inputs)
        if given or within(groups.range(output, ranges), only):
            for value in inputs:
                groups.tie(output, value)
        return
    low, high = groups.range(output, ranges)
    for value in inputs:
        own = groups.range(value, ranges)
        alone = len(value.uses()) == 1 and not value.is_graph_output()
        small = own[1] - own[0] < _MUCH_SMALLER * (high - low)
        if groups.fixed(value) or groups.fixed(output) or (small and not alone):
            continue
        groups.tie(output, value)
