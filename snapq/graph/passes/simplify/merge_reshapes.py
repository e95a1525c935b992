"""Makes one Reshape of several changes of shape in a row.

1. A Reshape, Flatten, Squeeze or Unsqueeze of the result of another, with a known shape, becomes
   one Reshape of the first's input.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, integers, producer
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape
from snapq.operators import Trait, having

OPERATORS = having(Trait.RESHAPES)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Merges one change of shape with the one in front of it."""
    before = producer(node.inputs[0], *OPERATORS)
    shape = static_shape(node.outputs[0])
    if before is None or shape is None or 0 in shape or static_shape(before.inputs[0]) is None:
        return False
    return edit.op("Reshape", before.inputs[0], integers(*shape))
