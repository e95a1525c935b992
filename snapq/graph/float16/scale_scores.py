"""Writes a Sigmoid that leaves the model as a product of two, so that low scores are right.

1. `Sigmoid(x)` that leaves the graph, also through operators that move it or a pool of maxima,
   becomes `exp(min(x, 0)) * sigmoid(|x|)`, which is the same: `s(x) = e^x s(-x)`.

The NPU's Sigmoid has an absolute step of 2^-11, behind a Conv of 2^-8: of scores around 3e-4 it
leaves 0 to 12 dB, and 56 so (simulator of QAIRT 2.51, fp16, v73 to v81). A threshold of 0.01 meets
such scores. Gates inside of a model lose nothing by that step, and stay.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, number
from snapq.graph.float16.limit_exponents import LEAST
from snapq.graph.passes.base import Result
from snapq.operators import Trait, having

OPERATORS = ("Sigmoid",)

_PASSED = {*having(Trait.MOVES), *having(Trait.RESHAPES), "MaxPool", "Cast", "Identity"}


def apply(node: ir.Node, edit: Editor) -> Result:
    """Rewrites one Sigmoid."""
    source = node.inputs[0]
    if source is None or not _leaves(node.outputs[0]):
        return False
    power = edit.op("Exp", edit.op("Clip", source, number(LEAST), number(0)))
    return edit.op("Mul", power, edit.op("Sigmoid", edit.op("Abs", source)))


def _leaves(value: ir.Value) -> bool:
    """Whether a value, moved about at most, is an output of the graph."""
    left, seen = [value], set[ir.Value]()
    while left:
        one = left.pop()
        if one.is_graph_output():
            return True
        if one in seen:
            continue
        seen.add(one)
        for user, _ in one.uses():
            if user.op_type in _PASSED:
                left.extend(user.outputs)
    return False
