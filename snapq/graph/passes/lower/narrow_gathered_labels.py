"""Looks labels up in 32 bits.

1. `Gather(c, i)` that is an output of the graph, with constants c of int64 that 32 bits hold,
   becomes the Gather of them in int32 and a Cast. The NPU refuses the former and takes the latter,
   with the same numbers.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant
from snapq.graph.passes.base import Result, Skipped

OPERATORS = ("Gather",)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Narrows the table of one Gather."""
    table = constant(node.inputs[0])
    if table is None or table.dtype != np.int64 or not node.outputs[0].is_graph_output():
        return False
    narrow = table.astype(np.int32)
    if not np.array_equal(narrow, table):
        return Skipped("its numbers take more than 32 bits, which the NPU does not have")
    axis = node.attributes.get_int("axis", 0)
    return edit.op(
        "Cast", edit.op("Gather", narrow, node.inputs[1], axis=axis), to=ir.DataType.INT64
    )
