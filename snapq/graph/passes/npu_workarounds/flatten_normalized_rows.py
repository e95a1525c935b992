"""Writes normalizations of the last dimension over one dimension of rows, where the NPU needs it.

1. RMSNormalization of up to 32 values, of more than one dimension of rows, = Reshape to rows,
   RMSNormalization, Reshape.
2. LayerNormalization, RMSNormalization and LpNormalization of more than 4 dimensions likewise.

At 8 bits the NPU normalizes up to 32 values over several dimensions of rows wrongly, such as the
heads of Qwen3: 3 dB from ONNX Runtime for 64 rows as [16, 4] (33 dB as [64]), on v68 to v79 of
QAIRT 2.51. It refuses all three over more than 4 dimensions.
"""

from __future__ import annotations

from math import prod

import onnx_ir as ir

from snapq.graph.edit import Editor, integers
from snapq.graph.passes.base import Result
from snapq.graph.shapes import Shape, static_shape

OPERATORS = ("LayerNormalization", "LpNormalization", "RMSNormalization")

_LARGEST_RANK = 4
_FEW_VALUES = 32


def apply(node: ir.Node, edit: Editor) -> Result:
    """Merges the dimensions of rows of one normalization."""
    source, shape = node.inputs[0], static_shape(node.inputs[0])
    if source is None or shape is None or 0 in shape or not _needs_rows(node, shape):
        return False
    if node.attributes.get_int("axis", -1) % len(shape) != len(shape) - 1:
        return False
    if any(output.uses() for output in node.outputs[1:]):
        return False
    rows = edit.op("Reshape", source, integers(prod(shape[:-1]), shape[-1]))
    if node.op_type == "LpNormalization":
        normal = edit.op("LpNormalization", rows, axis=1, p=node.attributes.get_int("p", 2))
    else:
        epsilon = node.attributes.get_float("epsilon", 1e-5)
        normal = edit.op(node.op_type, rows, *node.inputs[1:], axis=1, epsilon=epsilon)
    return edit.op("Reshape", normal, integers(*shape))


def _needs_rows(node: ir.Node, shape: Shape) -> bool:
    if len(shape) > _LARGEST_RANK:
        return True
    several = any(size != 1 for size in shape[:-2])
    return node.op_type == "RMSNormalization" and several and shape[-1] <= _FEW_VALUES
