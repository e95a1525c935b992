"""Operators that compute each element from the elements at the same place, with broadcasting."""

from __future__ import annotations

import onnx_ir as ir

from snapq.operators import Trait, having
from snapq.pruning.axes import Axes
from snapq.pruning.rules.base import Rule, broadcast


def _tie(node: ir.Node, axes: Axes) -> None:
    """1. Each input axis of the output's length belongs to the output's axis (from the right).

    2. An axis of length 1 that is broadcast belongs to nothing.
    """
    for output in node.outputs:
        if axes.knows(output):
            for value in node.inputs:
                if axes.knows(value):
                    broadcast(axes, value, output)


RULES = dict.fromkeys(having(Trait.ELEMENTWISE), Rule(_tie))
