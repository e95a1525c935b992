"""Leaves broadcasting to the operators that can do it.

1. `op(Expand(x), y)` becomes `op(x, y)` for element-wise operators whose result keeps its shape.
"""

from __future__ import annotations

from math import prod

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, producer
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape
from snapq.operators import Trait, having

# `broadcast_pow_base` puts an Expand in front of Pow.
OPERATORS = tuple(op for op in having(Trait.BROADCASTS) if op != "Pow")


def apply(node: ir.Node, edit: Editor) -> Result:
    """Takes the Expand away in front of one input."""
    wanted = static_shape(node.outputs[0])
    for index, value in enumerate(node.inputs):
        expand = producer(value, "Expand")
        if expand is None or wanted is None:
            continue
        others = [static_shape(other) for other in node.inputs if other is not value]
        source = static_shape(expand.inputs[0])
        known = [shape for shape in (*others, source) if shape is not None]
        if len(known) != len(others) + 1 or prod(wanted) == 0:
            continue
        if np.broadcast_shapes(*known) == wanted:
            node.replace_input_with(index, expand.inputs[0])
            edit.remove_if_dead(expand)
            return True
    return False
