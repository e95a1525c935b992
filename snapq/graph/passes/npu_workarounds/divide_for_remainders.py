"""Computes remainders of whole numbers by a division.

1. `Mod(x, d)` of integers, with a constant d above 0, becomes `r = x - d (x / d)`, and `r + d`
   where r is below 0; nothing is added where x is shown not to be negative.

The NPU computes Mod in fp16, so that remainders of numbers beyond 2,048 are wrong, and those beyond
131,008 are 64; its division of integers is exact (simulator of QAIRT 2.51, v68 to v81), and takes
no longer by the estimate.

Source: Mod-13 of ONNX: the sign of the divisor; Div-14: integers are cut towards 0.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, constant
from snapq.graph.passes.base import Result
from snapq.graph.passes.npu_workarounds.make_computed_indices_positive import (
    from_the_front,
    never_negative,
)

OPERATORS = ("Mod",)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Writes out one remainder."""
    source, divisor = node.inputs
    divided_by = constant(divisor)
    if source is None or divisor is None or divided_by is None or constant(source) is not None:
        return False
    if source.dtype not in (ir.DataType.INT32, ir.DataType.INT64) or not (divided_by > 0).all():
        return False
    if node.attributes.get_int("fmod", 0):
        return False
    whole = edit.op("Mul", edit.op("Div", source, divisor), divisor)
    left = edit.op("Sub", source, whole)
    return left if never_negative(source) else from_the_front(left, divided_by, edit)
