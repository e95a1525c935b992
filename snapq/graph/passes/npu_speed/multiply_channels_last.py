"""Multiplies maps by rows that a network computes, with the channels last.

1. Where a Reshape makes `[N, C, H W]` of a map, a MatMul multiplies computed rows `[N, M, C]` or
   `[M, C]` by it, and a Reshape makes a map `[N, M, H, W]` of that: the map with its channels last,
   times the rows turned round.

Masks of queries (SAM, MaskFormer, YOLACT) are such products. Estimated in us on QCS9075 and SA8797P
(QAIRT 2.51), with a Conv in front: 4 rows over 32 x 256 x 256 in fp16 1,536 and 708 against 1,175
and 562, at w8a16 1,536 and 702 against 772 and 337; 16 rows over 32 x 160 x 160 in fp16 1,039 and
440 against 436 and 244; 100 rows there do not compile in fp16 as given, and take 843. At w8a8 both
forms take the same. 100 rows over 256 x 64 x 64 at w8a16: 278 and 190 against 412 and 113.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, constant, integers, is_float, sole_producer
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape

OPERATORS = ("Reshape",)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Turns the product in front of one Reshape round."""
    product = sole_producer(node.inputs[0], "MatMul")
    if product is None or not is_float(node.inputs[0]):
        return False
    rows, columns = product.inputs
    flat = sole_producer(columns, "Reshape")
    if flat is None or rows is None or constant(rows) is not None:
        return False
    source, made = flat.inputs[0], static_shape(node.outputs[0])
    given, by = static_shape(source), static_shape(rows)
    if source is None or given is None or by is None or made is None or len(given) != 4:
        return False
    batch, channels, height, width = given
    if static_shape(columns) != (batch, channels, height * width) or len(by) not in (2, 3):
        return False
    count = by[-2]
    if by[-1] != channels or made != (batch, count, height, width):
        return False
    turned = (1, 0) if len(by) == 2 else (0, 2, 1)
    value = edit.op("Transpose", source, perm=(0, 2, 3, 1))
    value = edit.op("Reshape", value, integers(batch, height * width, channels))
    value = edit.op("MatMul", value, edit.op("Transpose", rows, perm=turned))
    value = edit.op("Reshape", value, integers(batch, height, width, count))
    return edit.op("Transpose", value, perm=(0, 3, 1, 2))
