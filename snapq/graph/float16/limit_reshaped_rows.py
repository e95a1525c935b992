"""Puts a limit behind a Conv over one row of places that a Reshape takes apart.

1. `Reshape(Conv(x))` of rows, or of maps of one row, that parts a dimension, with a Transpose
   between or not, becomes `Reshape(Clip(Conv(x), -65504, 65504))`: fp16 has no numbers beyond.

Qualcomm's compiler (QAIRT 2.51) puts the values at other places where nothing stands between: 8
channels of 12 places in 3 parts of 4 have 9 dB in fp16, of 100 in two parts 18, and with a Clip 69
for the same time (simulated and estimated on QCS9075). In integers they are right.
"""

from __future__ import annotations

from itertools import accumulate
from operator import mul

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, number, permutation, producer
from snapq.graph.passes.base import Result
from snapq.graph.shapes import Shape, static_shape

OPERATORS = ("Reshape",)

_MOST = float(np.finfo(np.float16).max)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Limits what one Reshape takes apart."""
    turn = producer(node.inputs[0], "Transpose")
    conv = producer(node.inputs[0] if turn is None else turn.inputs[0], "Conv")
    shape, result = (static_shape(one.outputs[0]) if one else None for one in (conv, node))
    given = static_shape(node.inputs[0])
    if conv is None or shape is None or result is None or given is None:
        return False
    if len(shape) > 4 or (len(shape) == 4 and 1 not in shape[2:]) or not _parts(given, result):
        return False
    limited = edit.op("Clip", conv.outputs[0], number(-_MOST), number(_MOST))
    if turn is not None:
        limited = edit.op("Transpose", limited, perm=permutation(turn))
    return edit.op("Reshape", limited, *node.inputs[1:])


def _parts(given: Shape, result: Shape) -> bool:
    """Whether a dimension becomes several, rather than several one."""
    return not set(accumulate(result, mul)) <= {1, *accumulate(given, mul)}
