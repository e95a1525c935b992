"""Writes automatic padding out in numbers.

1. `auto_pad` of Conv, MaxPool, AveragePool and LpPool becomes `pads` where the input's shape is
   known.
2. `VALID` becomes padding of zero.

Source: the definition of SAME_UPPER and SAME_LOWER in the ONNX operator Conv.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, ints_attribute, same_padding
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape

OPERATORS = ("Conv", "MaxPool", "AveragePool", "LpPool")


def apply(node: ir.Node, edit: Editor) -> Result:
    """Gives one node its padding in numbers."""
    mode = node.attributes.get_string("auto_pad", "NOTSET")
    shape = static_shape(node.inputs[0])
    kernel = ints_attribute(node, "kernel_shape")
    if kernel is None and node.op_type == "Conv":
        weight = static_shape(node.inputs[1])
        kernel = weight[2:] if weight is not None else None
    if mode == "NOTSET" or shape is None or kernel is None:
        return False
    totals = [0] * len(kernel) if mode == "VALID" else same_padding(node, shape[2:], kernel)
    less, more = [total // 2 for total in totals], [total - total // 2 for total in totals]
    del node.attributes["auto_pad"]
    pads = [*more, *less] if mode == "SAME_LOWER" else [*less, *more]
    node.attributes["pads"] = ir.AttrInt64s("pads", pads)
    return True
