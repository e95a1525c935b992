"""Sums up along the last axis, as at 8 bits the NPU does no other rightly.

1. `CumSum(x, axis)` of floats along an axis that is not the last = Transpose, CumSum, Transpose.

Source: Qualcomm's runtime (QAIRT 2.51): -3 dB along any other axis, simulated.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, constant_ints, integers, is_float, rank
from snapq.graph.passes.base import Result

OPERATORS = ("CumSum",)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Turns the axis of one CumSum to the end."""
    dims, axes = rank(node.inputs[0]), constant_ints(node.inputs[1])
    if dims is None or axes is None or not is_float(node.inputs[0]):
        return False
    axis = axes[0] % dims
    if axis == dims - 1:
        return False
    order = [*(item for item in range(dims) if item != axis), axis]
    turned = edit.op("Transpose", node.inputs[0], perm=order)
    summed = edit.op(
        "CumSum",
        turned,
        integers(dims - 1),
        exclusive=node.attributes.get_int("exclusive", 0),
        reverse=node.attributes.get_int("reverse", 0),
    )
    back = [order.index(item) for item in range(dims)]
    return edit.op("Transpose", summed, perm=back)
