"""Writes out the type that a CastLike takes from another value.

1. `CastLike(x, y)` becomes `Cast(x, to=type of y)`.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor
from snapq.graph.passes.base import Result

OPERATORS = ("CastLike",)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Makes one CastLike a Cast."""
    model = node.inputs[1]
    if model is None or model.dtype is None:
        return False
    return edit.op("Cast", node.inputs[0], to=int(model.dtype))
