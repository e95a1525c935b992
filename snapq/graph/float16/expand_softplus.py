"""Writes a Softplus in other operators.

1. `Tanh(Softplus(x))`, of which Mish is a multiple, becomes `n / (n + 2)` of `n = e (e + 2)` and
   `e = exp(min(x, 4.5))`, which is off by 2.5e-4 at most. A larger n has no quotient in fp16.
2. Another `Softplus(x)` becomes `max(x, 0) + ln(1 + exp(-|x|))`, with a polynomial for the
   logarithm.

The NPU's Softplus is garbage for values beyond 88, leaves part of its output unwritten for maps of
9 to 12 rows and for narrow ones of few channels (6 to 12 dB), and has 41 dB elsewhere; written out
it has 68 everywhere, for 1.6 times the time (simulator and estimate of QAIRT 2.51, fp16). A Tanh of
what is written out leaves 44 dB of a Mish; as a quotient it has 64, for 0.6 to 0.9 times the time.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, is_op, number
from snapq.graph.float16.limit_exponents import LEAST
from snapq.graph.passes.base import Result
from snapq.graph.passes.formulas import softplus

OPERATORS = ("Softplus",)

_MOST = 4.5


def apply(node: ir.Node, edit: Editor) -> Result:
    """Writes out one Softplus."""
    source, result = node.inputs[0], node.outputs[0]
    if source is None:
        return False
    readers = list(result.consumers())
    if not readers or result.is_graph_output() or not all(is_op(one, "Tanh") for one in readers):
        return softplus(source, edit, float16=True)
    power = edit.op("Exp", edit.op("Clip", source, number(LEAST), number(_MOST)))
    whole = edit.op("Mul", power, edit.op("Add", power, number(2.0)))
    share = edit.op("Div", whole, edit.op("Add", whole, number(2.0)))
    for reader in readers:
        edit.replace(reader.outputs[0], share)
        edit.remove_if_dead(reader)
    return True
