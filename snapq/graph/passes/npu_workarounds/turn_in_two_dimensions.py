"""Turns 64 rows of 32 numbers in two dimensions.

1. A Transpose of `[1, 64, 32]` to `[1, 32, 64]` is one of `[64, 32]` between Reshapes.

With a sum behind the one of three dimensions Qualcomm's compiler ends at 8 bits in an error of
memory, at these sizes alone (QAIRT 2.51, v73 and v81). A sum in front of it is not mended.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, integers, is_float, permutation
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape

OPERATORS = ("Transpose",)
_ROWS, _COLUMNS = 64, 32


def apply(node: ir.Node, edit: Editor) -> Result:
    """Rewrites one Transpose."""
    source = node.inputs[0]
    if static_shape(source) != (1, _ROWS, _COLUMNS) or permutation(node) != (0, 2, 1):
        return False
    if not is_float(source):
        return False
    flat = edit.op("Reshape", source, integers(_ROWS, _COLUMNS))
    turned = edit.op("Transpose", flat, perm=(1, 0))
    return edit.op("Reshape", turned, integers(1, _COLUMNS, _ROWS))
