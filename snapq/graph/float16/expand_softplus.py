"""Writes a Softplus in other operators.

1. `Softplus(x)` becomes `max(x, 0) + ln(1 + exp(-|x|))`, with a polynomial for the logarithm.

The NPU's Softplus is garbage for values beyond 88, leaves part of its output unwritten for maps of
9 to 12 rows and for narrow ones of few channels (6 to 12 dB), and has 41 dB elsewhere; written out
it has 68 everywhere, for 1.6 times the time (simulator and estimate of QAIRT 2.51, fp16).
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor
from snapq.graph.passes.base import Result
from snapq.graph.passes.formulas import softplus

OPERATORS = ("Softplus",)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Writes out one Softplus."""
    source = node.inputs[0]
    return softplus(source, edit, float16=True) if source is not None else False
