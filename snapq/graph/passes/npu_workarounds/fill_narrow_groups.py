"""Writes a layer of a few groups with less than 32 results as one group, with zeros between.

1. A Conv of several groups, with constant weights, more than 32 inputs and less than 32 results =
   one of one group, whose weights between the groups are zeros.

In 8 and 16 bits an InstanceNormalization behind such a layer gives zeros, also with a Relu between
(0 to 2 dB, 36 alone; simulated on QCS9075, QAIRT 2.51). As channels go by 32 on the NPU, the dense
layer has as much to do.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant
from snapq.graph.passes.base import Result

OPERATORS = ("Conv",)

_CHANNELS = 32


def apply(node: ir.Node, edit: Editor) -> Result:
    """Fills the weights of one layer."""
    groups, weight = node.attributes.get_int("group", 1), constant(node.inputs[1])
    if groups == 1 or weight is None:
        return False
    results, inputs, *kernel = weight.shape
    if results >= _CHANNELS or inputs * groups <= _CHANNELS:
        return False
    dense = np.zeros((groups, results // groups, groups, inputs, *kernel), weight.dtype)
    for group, one in enumerate(np.split(weight, groups)):
        dense[group, :, group] = one
    edit.set_constant(node, 1, dense.reshape(results, groups * inputs, *kernel))
    node.attributes["group"] = ir.AttrInt64("group", 1)
    return True
