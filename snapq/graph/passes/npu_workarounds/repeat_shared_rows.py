"""Repeats rows that several blocks of rows share, in sums, products and quotients.

1. `f(x, c)`, f one of Add, Mul and Div, of x `[…, b, n, m]` with b from 2 to 7 and n a multiple of
   8 from 16, and a constant c `[…, 1, n, m or 1]` = f of c repeated b times.
2. The same of c that is computed, as a Concat, where a normalization or a Sigmoid reads the result,
   perhaps behind up to four element-wise operators and products.
3. A result that only a Softmax reads is right, and stays.

With a LayerNormalization, an RMSNormalization or in fp16 a Sigmoid behind it, also behind a MatMul,
all blocks but the first are wrong on the NPU: 5 dB in fp16 and 2 at 16 bits for 2 x 16 x 64 (QAIRT
2.51, simulated on v73, v81 and v85). So texts of 16 tokens, two at once, get their positions.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, is_float, is_op
from snapq.graph.passes.base import Result
from snapq.graph.shapes import Shape, static_shape
from snapq.operators import Trait, having

OPERATORS = ("Add", "Div", "Mul")

_MOST_BLOCKS = 7
_FEWEST_ROWS, _GROUP = 16, 8
_DEPTH = 4
_READERS = ("LayerNormalization", "LpNormalization", "RMSNormalization", "Sigmoid")
_BETWEEN = (*having(Trait.ELEMENTWISE), "Gemm", "MatMul", "Reshape")


def apply(node: ir.Node, edit: Editor) -> Result:
    """Repeats the shared rows of one operator."""
    result, shape = node.outputs[0], static_shape(node.outputs[0])
    if shape is None or len(shape) < 3 or not is_float(node.inputs[0]) or not _is_wrong(shape):
        return False
    uses = list(result.uses())
    if not result.is_graph_output() and all(is_op(use.node, "Softmax") for use in uses):
        return False
    for index, value in enumerate(node.inputs):
        own = static_shape(value)
        if value is None or own is None or not _is_shared(own, shape):
            continue
        fixed = constant(value)
        if fixed is not None:
            lined = fixed.reshape((1,) * (3 - fixed.ndim) + fixed.shape)
            edit.set_constant(node, index, np.repeat(lined, shape[-3], axis=-3))
            return True
        if not _is_read(result, _DEPTH) or len(own) < 3:
            return False
        copies = edit.op("Concat", *(value for _ in range(shape[-3])), axis=len(own) - 3)
        node.replace_input_with(index, copies)
        return True
    return False


def _is_wrong(shape: Shape) -> bool:
    blocks, rows = shape[-3:-1]
    many = rows >= _FEWEST_ROWS and rows % _GROUP == 0
    return 2 <= blocks <= _MOST_BLOCKS and many


def _is_shared(own: Shape, shape: Shape) -> bool:
    """Whether an operand has rows that the blocks of the result share."""
    return len(own) >= 2 and own[-2] == shape[-2] and (len(own) == 2 or own[-3] == 1)


def _is_read(value: ir.Value, depth: int) -> bool:
    """Whether one of the readers has a value, or what few operators make of it."""
    for use in value.uses():
        if is_op(use.node, *_READERS):
            return True
        between = depth and use.node.domain == "" and use.node.op_type in _BETWEEN
        if between and _is_read(use.node.outputs[0], depth - 1):
            return True
    return False
