"""Writes normalizations of the last dimension over one dimension of rows, where the NPU needs it.

1. RMSNormalization of up to 32 values, or of an input of the model, of more than one dimension of
   rows, = Reshape to rows, RMSNormalization, Reshape.
2. LayerNormalization, RMSNormalization and LpNormalization of more than 4 dimensions likewise.
3. RMSNormalization of `[..., 9 to 12, rows, n]`, such as 12 heads, over a part of the heads beside
   the rows of the others: `[..., 12, rows, n]` as `[..., 6, 2 rows, n]`.

At 8 bits the NPU normalizes up to 32 values over several dimensions of rows wrongly, such as the
heads of Qwen3: 3 dB from ONNX Runtime for 64 rows as [16, 4] (33 dB as [64]), on v68 to v79 of
QAIRT 2.51; the codes of an input wrongly at any size (-8 to 9 dB for most numbers of rows). It
refuses all three over more than 4 dimensions. Of 9, 10, 11 and 12 heads it gets 5 to
10 dB at 8 bits and 5 to 18 in fp16, of any other number 36 and 69 (simulated on v73 to v85).
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
_WRONG_HEADS = tuple((heads,) for heads in range(9, 13))


def apply(node: ir.Node, edit: Editor) -> Result:
    """Merges the dimensions of rows of one normalization."""
    source, shape = node.inputs[0], static_shape(node.inputs[0])
    if source is None or shape is None or 0 in shape or not _needs_rows(node, shape):
        return False
    if node.attributes.get_int("axis", -1) % len(shape) != len(shape) - 1:
        return False
    if any(output.uses() for output in node.outputs[1:]):
        return False
    rows = edit.op("Reshape", source, integers(*_rows(node, shape)))
    if node.op_type == "LpNormalization":
        normal = edit.op("LpNormalization", rows, axis=-1, p=node.attributes.get_int("p", 2))
    else:
        epsilon = node.attributes.get_float("epsilon", 1e-5)
        normal = edit.op(node.op_type, rows, *node.inputs[1:], axis=-1, epsilon=epsilon)
    return edit.op("Reshape", normal, integers(*shape))


def _needs_rows(node: ir.Node, shape: Shape) -> bool:
    if len(shape) > _LARGEST_RANK:
        return True
    several = any(size != 1 for size in shape[:-2])
    return node.op_type == "RMSNormalization" and (
        (several and _takes_one_dimension(node, shape)) or shape[-3:-2] in _WRONG_HEADS
    )


def _takes_one_dimension(node: ir.Node, shape: Shape) -> bool:
    source = node.inputs[0]
    fed = source is not None and source.is_graph_input()
    return fed or shape[-1] <= _FEW_VALUES or len(shape) > _LARGEST_RANK


def _rows(node: ir.Node, shape: Shape) -> Shape:
    """The shape in which they are normalized: fewer heads cost less than one dimension of rows."""
    if node.op_type != "RMSNormalization" or _takes_one_dimension(node, shape):
        return prod(shape[:-1]), shape[-1]
    *batch, heads, rows, size = shape
    beside = next(part for part in range(2, heads + 1) if heads % part == 0)
    return *batch, heads // beside, beside * rows, size
