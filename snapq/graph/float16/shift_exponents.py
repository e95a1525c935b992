"""Takes the largest value off before logarithms of sums of exponentials.

1. `LogSoftmax(x)` becomes `s - ln(sum(exp(s)))` with `s = x - max(x)` over its axis.
2. `ReduceLogSumExp(x)` becomes `max(x) + ln(sum(exp(s)))` over its axes, which are constant.

The NPU's operators are wrong for values beyond 60 to 100: of normal numbers times 100 they have
10 and 18 dB, and written so 66 or more (simulator of QAIRT 2.51, fp16).
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, integers, number, rank, reduced_axes
from snapq.graph.float16.limit_exponents import LEAST
from snapq.graph.passes.base import Result

OPERATORS = ("LogSoftmax", "ReduceLogSumExp")


def apply(node: ir.Node, edit: Editor) -> Result:
    """Writes out one of them."""
    source, dims = node.inputs[0], rank(node.inputs[0])
    if source is None or not dims:
        return False
    if node.op_type == "LogSoftmax":
        axes: tuple[int, ...] | None = (node.attributes.get_int("axis", -1) % dims,)
    else:
        axes = reduced_axes(node)
    if not axes:
        return False
    peak = edit.op("ReduceMax", source, integers(*axes), keepdims=1)
    shifted = edit.op("Sub", source, peak)
    power = edit.op("Exp", edit.op("Clip", shifted, number(LEAST), number(0)))
    keep = 1 if node.op_type == "LogSoftmax" else node.attributes.get_int("keepdims", 1)
    total = edit.op("Log", edit.op("ReduceSum", power, integers(*axes), keepdims=keep))
    if node.op_type == "LogSoftmax":
        return edit.op("Sub", shifted, total)
    return edit.op("Add", total, peak if keep else edit.op("Squeeze", peak, integers(*axes)))
