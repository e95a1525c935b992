"""Writes automatic padding out in numbers.

1. `auto_pad` of Conv, MaxPool, AveragePool and LpPool becomes `pads` where the input's shape is
   known.
2. `VALID` becomes padding of zero.

Source: the definition of SAME_UPPER and SAME_LOWER in the ONNX operator Conv.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, ints_attribute
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
    strides = ints_attribute(node, "strides") or (1,) * len(kernel)
    dilations = ints_attribute(node, "dilations") or (1,) * len(kernel)
    before, after = [], []
    for size, window, stride, dilation in zip(shape[2:], kernel, strides, dilations, strict=True):
        wanted = -(-size // stride)
        total = max(0, (wanted - 1) * stride + (window - 1) * dilation + 1 - size)
        total = 0 if mode == "VALID" else total
        less, more = total // 2, total - total // 2
        before.append(more if mode == "SAME_LOWER" else less)
        after.append(less if mode == "SAME_LOWER" else more)
    del node.attributes["auto_pad"]
    node.attributes["pads"] = ir.AttrInt64s("pads", [*before, *after])
    return True
