"""Repeats a number that is added in front of a Clip for each channel.

1. `Clip(x + c)` and `Clip(x - c)` over an image of 9 to 15 channels with one number c: c becomes
   `[C, 1, 1]`.
2. `HardSigmoid(x)` over such an image becomes `Clip(alpha x + [beta, ...], 0, 1)`.

The NPU adds the number to some channels twice: 4 to 12 dB, and 72 with it repeated (simulator of
QAIRT 2.51, fp16, v73 to v81). With other numbers of channels it is right.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, number, producer, scalar
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape

OPERATORS = ("Clip", "HardSigmoid")

_WRONG = range(9, 16)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Rewrites what is added in front of one Clip."""
    shape = static_shape(node.inputs[0])
    if shape is None or len(shape) != 4 or shape[1] not in _WRONG or node.inputs[0] is None:
        return False
    column = (shape[1], 1, 1)
    if node.op_type == "HardSigmoid":
        slope, start = (
            node.attributes.get_float(name, default)
            for name, default in (("alpha", 0.2), ("beta", 0.5))
        )
        line = edit.op("Mul", node.inputs[0], number(slope))
        return edit.op(
            "Clip",
            edit.op("Add", line, np.full(column, start, np.float32)),
            number(0),
            number(1),
        )
    added = producer(node.inputs[0], "Add", "Sub")
    if added is None:
        return False
    numbers = [scalar(value) for value in added.inputs]
    if all(one is None for one in numbers):
        return False
    operands = [
        value if one is None else np.full(column, one, np.float32)
        for value, one in zip(added.inputs, numbers, strict=True)
    ]
    return edit.op("Clip", edit.op(added.op_type, *operands), *node.inputs[1:])
