"""Gives a Conv its weights in the order of the channels that it would get.

1. `Conv(x[:, order], w)`, of one group, becomes `Conv(x, w[:, order⁻¹])`, whatever Gathers, Slices,
   Reshapes and Transposes put the channels in order, where the Conv alone reads them.

Networks trained on pictures in BGR turn RGB round so. A normalization in front goes into the Conv
then, too. Estimated in us on QCS9075 (QAIRT 2.51), RTMPose-M: w8a8 1,257 with the order in the
graph and 1,216 folded, fp16 2,459 and 2,441.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant
from snapq.graph.passes.base import Result
from snapq.graph.passes.channels import channel_order, moves_to
from snapq.graph.shapes import static_shape

OPERATORS = ("Conv",)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Changes the weights of one Conv."""
    weight, shape = constant(node.inputs[1]), static_shape(node.inputs[0])
    if weight is None or shape is None or node.attributes.get_int("group", 1) != 1:
        return False
    moves = moves_to(node.inputs[0])
    for start, first in enumerate(moves):
        source = first.inputs[0]
        if source is None or static_shape(source) != shape:
            continue
        order = channel_order(moves[start:], shape)
        if order is not None:
            edit.set_constant(node, 1, weight[:, np.argsort(order)])
            node.replace_input_with(0, source)
            edit.remove_if_dead(moves[-1])
            return True
    return False
