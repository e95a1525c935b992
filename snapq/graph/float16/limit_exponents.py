"""Limits what an Exp reads.

1. `Exp(x)` becomes `Exp(Clip(x, -80, 80))`, unless x is limited already. Nothing changes by it:
   in fp16 Exp is 0 below -17.4 and the largest number above 11.8.

Beyond 88 on either side the NPU's Exp is garbage: Exp(-100) is -131,008 and Exp(100) is 0, so that
a Softmax by hand with a mask of -100 has 0.1 dB (simulator of QAIRT 2.51, fp16, v69 to v85).
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, is_op, number, scalar
from snapq.graph.passes.base import Result

OPERATORS = ("Exp",)

LEAST, MOST = -80.0, 80.0


def apply(node: ir.Node, edit: Editor) -> Result:
    """Limits one exponent."""
    source = node.inputs[0]
    maker = source.producer() if source is not None else None
    if source is None or (maker is not None and _limits(maker)):
        return False
    return edit.op("Exp", edit.op("Clip", source, number(LEAST), number(MOST)))


def _limits(node: ir.Node) -> bool:
    """Whether a node is a Clip to what Exp is right for."""
    bounds = [scalar(value) for value in node.inputs[1:3]] if is_op(node, "Clip") else []
    return len(bounds) == 2 and all(b is not None and LEAST <= b <= MOST for b in bounds)
