"""What the host's part takes, by a model of NumPy's cost: the same on every run.

Measured on one thread of a Xeon (the least of 60 runs). Only the choice among ways to encode rests
on it; what a user is told is measured.
"""

from __future__ import annotations

from snapq.classical.trees.encoding import Encoding
from snapq.classical.trees.plan import Plan

_CALL_US = {"tree_limbs": 12.0, "tree_ranks": 16.0, "tree_integers": 10.0, "tree_members": 8.0}
"""A step's own time, whatever the rows."""
_VALUE_NS = {"tree_limbs": 2.4, "tree_ranks": 2.2, "tree_integers": 2.0, "tree_members": 3.0}
"""For each value that it reads."""
_HALVING_NS = 1.8
"""For each value and halving of the search for a rank."""
_JOIN_US, _SUM_US = 1.0, 4.5
_COUNT_NS = 0.6
"""For each count of the output."""


def host_us(plan: Plan) -> float:
    """Microseconds to encode a batch and to make sums of the counts."""
    decoding = _SUM_US * len(plan.forest.estimators)
    decoding += plan.batch * plan.counted.columns * _COUNT_NS / 1000
    return encoding_us(plan.encoding, plan.batch) + decoding


def encoding_us(encoding: Encoding, batch: int) -> float:
    """Microseconds to encode a batch."""
    total = _JOIN_US * len(encoding.inputs)
    for step in encoding.steps:
        each = _VALUE_NS[step.op] + _HALVING_NS * step.attributes.get("halvings", 0)
        total += _CALL_US[step.op] + batch * len(step.arrays["features"]) * each / 1000
    return total
