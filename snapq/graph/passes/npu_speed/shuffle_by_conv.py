"""Puts channels in another order by a Conv.

1. What Reshapes, Transposes, Gathers and Slices make of x, `[N, C, …]` with one or two axes of
   places, is `Conv(x, P)` where they put its channels in another order; P has one tap, and in each
   row a one and zeros beside.

Only of 8 to 1,024 channels, and of more than one place. So ShuffleNet mixes the halves of its
blocks. The NPU keeps the channels of a place side by side and moves them one by one. A product with
one 1 and zeros is exact in integers and in fp16 alike. Estimated in us on QCS9075 and SA8797P
(QAIRT 2.51), 128 channels of 40 x 40 between three Convs: fp16 308 and 239 against 109 and 65,
w8a16 219 and 259 against 157 and 80, w8a8 148 and 150 against 110 and 79. ShuffleNet V2 on QCS9075:
fp16 747 against 197, w8a16 588 against 118, w8a8 330 against 93; YOLO5Face-n in fp16 8,178 against
5,122.
"""

from __future__ import annotations

from math import prod

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, is_float, is_op
from snapq.graph.passes.base import Result
from snapq.graph.passes.channels import MOVES, channel_order, moves_to
from snapq.graph.shapes import static_shape

OPERATORS = ("Gather", "Reshape")
_FEWEST, _MOST = 8, 1024
_RANKS = (3, 4)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Rewrites what ends in one node."""
    value, shape = node.outputs[0], static_shape(node.outputs[0])
    if shape is None or len(shape) not in _RANKS or not is_float(value):
        return False
    channels = shape[1]
    if not _FEWEST <= channels <= _MOST or prod(shape[2:]) < 2:
        return False
    if any(is_op(use.node, *MOVES) for use in value.uses()):
        return False
    moves = [*moves_to(node.inputs[0]), node]
    for start, first in enumerate(moves):
        source = first.inputs[0]
        if source is None or static_shape(source) != shape:
            continue
        order = channel_order(moves[start:], shape)
        if order is not None:
            weight = np.eye(channels, dtype=np.float32)[order]
            return edit.op("Conv", source, weight.reshape(*weight.shape, *(1,) * len(shape[2:])))
    return False
