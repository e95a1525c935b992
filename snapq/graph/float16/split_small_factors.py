"""Multiplies by small constants in two steps.

1. `Mul(x, c)` with constants below 2^-14 becomes `Mul(Mul(x, 2^-k), c 2^k)`.
2. `Div(x, c)` with constants above 2^14 becomes the same with 1 / c.

fp16 has 11 bits of numbers from 2^-14 on and fewer of smaller ones, 4 of a millionth, and the NPU
divides by way of the reciprocal: of `x / 50,000` it has 57 dB, of `x / 1,000,000` 32, and 70 in
two steps (simulator of QAIRT 2.51, fp16).
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, constant_operand, is_op
from snapq.graph.passes.base import Result
from snapq.precision import SMALLEST_FLOAT16

OPERATORS = ("Div", "Mul")

_LEAST = 2.0**-30
"""What is smaller is there against a division by 0, or makes 0 of anything."""


def apply(node: ir.Node, edit: Editor) -> Result:
    """Splits one factor."""
    if is_op(node, "Div"):
        source, array = node.inputs[0], constant(node.inputs[1])
        if array is None or not array.all():
            return False
        factor = 1 / array.astype(np.float64)
    else:
        found = constant_operand(node)
        if found is None:
            return False
        source, factor = found[0], found[1].astype(np.float64)
    sizes = np.abs(factor[factor != 0])
    if source is None or not sizes.size or not _LEAST <= sizes.min() < SMALLEST_FLOAT16:
        return False
    steps = int(np.ceil(-np.log2(sizes.min()) / 2))
    if sizes.max() * 2.0**steps >= 1 / SMALLEST_FLOAT16:
        return False
    small = edit.op("Mul", source, np.array(2.0**-steps, np.float32))
    return edit.op("Mul", small, np.asarray(factor * 2.0**steps, np.float32))
