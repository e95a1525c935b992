"""Fills the holes of a depthwise kernel that has dilation and strides at once.

1. A Conv of one channel a group, with constant weights, strides and dilation = one without
   dilation, whose kernel has zeros in the holes.

Qualcomm's provider does not take such a Conv in fp16, nor over a signal, whatever the type: "was
not selected by that EP" (ONNX Runtime's QNN provider 2.7). Others with strides and dilation it
takes, dense or of several channels a group.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, ints_attribute
from snapq.graph.passes.base import Result

OPERATORS = ("Conv",)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Fills one kernel."""
    weight, dilations = constant(node.inputs[1]), ints_attribute(node, "dilations") or ()
    strides = ints_attribute(node, "strides") or ()
    if weight is None or set(dilations) <= {1} or set(strides) <= {1} or weight.shape[1] != 1:
        return False
    taps = [(size - 1) * step + 1 for size, step in zip(weight.shape[2:], dilations, strict=True)]
    kernel = np.zeros((*weight.shape[:2], *taps), weight.dtype)
    kernel[:, :, *(slice(None, None, step) for step in dilations)] = weight
    edit.set_constant(node, 1, kernel)
    node.attributes["dilations"] = ir.AttrInt64s("dilations", [1] * len(taps))
    node.attributes["kernel_shape"] = ir.AttrInt64s("kernel_shape", taps)
    return True
