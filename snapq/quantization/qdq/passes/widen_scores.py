"""Widens the encoding of what a Softmax of 16 bits reads to the steps at which the NPU is quick.

With steps below ln 2 / 2^18 in its input the NPU's kernel (QAIRT 2.51) takes 18 times as long: a
Softmax of 4 heads of 256 x 256 on QCS9075 516,182 cycles against 28,857 by the estimate, on SA8797P
90,801 against 17,838. Scores that lie within 0.17 have such steps. What is given changes by less
than half of a step of 2^-16 for it, as no share moves more than the scores do.
"""

from __future__ import annotations

from math import log

from snapq.quantization.qdq.plan import QdqPlan

__all__ = ["LEAST_STEP", "widen_scores"]

LEAST_STEP = 1.01 * log(2) / 2**18
"""Of the scores, with a little room for rounding."""
_BITS = 16


def widen_scores(plan: QdqPlan) -> QdqPlan:
    """Includes in the range of scores that nothing but a Softmax reads what they need for that."""
    groups = plan.groups
    for node in plan.graph:
        value = node.inputs[0] if node.op_type == "Softmax" else None
        if value is None or value not in groups or len(value.uses()) != 1:
            continue
        held = groups.dtype(value)
        if held.bits != _BITS or groups.fixed(value) is not None:
            continue
        low, high = groups.range(value, plan.ranges)
        low, high = min(low, 0.0), max(high, 0.0)
        least, span = LEAST_STEP * (held.qmax - held.qmin), high - low
        if span < least:
            part = -low / span if span else 0.0
            groups.include(value, (-part * least, (1 - part) * least))
    return plan
