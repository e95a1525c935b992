"""Counts indices from the front.

1. Negative constant indices of Gather, GatherElements and ScatterElements, and negative axes of
   Softmax, Concat, Split, LayerNormalization and the like, become positive ones.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, rank
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape
from snapq.operators import Role, Trait, having, spec

OPERATORS = having(Trait.HAS_AXIS)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Makes the axis and the constant indices of one node positive."""
    dims = rank(node.inputs[0])
    axis = node.attributes.get_int("axis", 0)
    if dims is None:
        return False
    if axis < 0:
        node.attributes["axis"] = ir.AttrInt64("axis", axis + dims)
        return True
    indexed = spec(node.op_type).role(1) is Role.INDICES
    indices = constant(node.inputs[1]) if indexed else None
    shape = static_shape(node.inputs[0])
    if indices is None or shape is None or not np.any(indices < 0):
        return False
    edit.set_constant(node, 1, np.where(indices < 0, indices + shape[axis], indices))
    return True
