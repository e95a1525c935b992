"""Adds a constant to the parts of a Concat rather than to the whole, where a part is constant.

1. `Concat(c, x) + p` of constants c and p becomes `Concat(c + p[first], x + p[rest])`; so for any
   number and order of constant and computed parts, where nothing else reads the Concat.

So a ViT puts its class token in front of its patches, and adds its positions. At 16 bits the NPU's
compiler finds no way to hold a residual stream that begins so for 12 x 12 and 14 x 14 patches (for
13 x 13 it does; onnxruntime-qnn 2.7.0, v73 and v81). Added before, one layer of ViT-B/16 takes 585
us at w8a16 by Qualcomm's estimate for QCS9075, and at w8a8 907 in place of 897.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, constant_operand, same_shape, sole_producer
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape

OPERATORS = ("Add",)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Moves one constant summand in front of the Concat that feeds it."""
    operands = constant_operand(node)
    joined = sole_producer(operands[0], "Concat") if operands is not None else None
    shape = static_shape(node.outputs[0])
    if operands is None or joined is None or shape is None:
        return False
    if not same_shape(operands[0], node.outputs[0]):
        return False
    parts = [constant(value) for value in joined.inputs]
    if all(part is None for part in parts) or not any(part is None for part in parts):
        return False
    axis = joined.attributes.get_int("axis", 0) % len(shape)
    sizes = [static_shape(value) for value in joined.inputs if value is not None]
    lengths = [size[axis] for size in sizes if size is not None]
    if len(lengths) != len(parts):
        return False
    summand = operands[1].reshape((1,) * (len(shape) - operands[1].ndim) + operands[1].shape)
    alike = summand.shape[axis] == 1
    ends = np.cumsum(lengths)
    sums: list[ir.Value | np.ndarray] = []
    for value, part, end, length in zip(joined.inputs, parts, ends, lengths, strict=True):
        own = summand if alike else summand.take(range(end - length, end), axis=axis)
        if part is None:
            sums.append(edit.op("Add", value, own))
        else:
            whole = (*shape[:axis], length, *shape[axis + 1 :])
            sums.append(np.broadcast_to(part + own, whole).astype(part.dtype))
    return edit.op("Concat", *sums, axis=axis)
