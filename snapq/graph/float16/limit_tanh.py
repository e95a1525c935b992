"""Keeps a Tanh apart from the layer in front.

1. `Tanh(x)` of what a Conv, ConvTranspose, Gemm or MatMul gives, also reshaped or with a bias
   added, becomes `Tanh(Min(x, 16))`: Tanh is 1 from 9 on in float32.

The NPU makes one operation of the two, which is off by up to 2^-8: 42 dB for normal numbers and 29
for small ones; apart they have 70 (simulator of QAIRT 2.51, fp16, v73 to v81).
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, number, producer
from snapq.graph.passes.base import Result
from snapq.operators import Trait, having

OPERATORS = ("Tanh",)

_LAYERS = (*having(Trait.SUMS_CHANNELS),)
_MOVED = having(Trait.RESHAPES)
_MOST = 16.0


def apply(node: ir.Node, edit: Editor) -> Result:
    """Parts one Tanh from its layer."""
    source = node.inputs[0]
    value = source
    while (moved := producer(value, *_MOVED)) is not None:
        value = moved.inputs[0]
    added = producer(value, "Add")
    behind = (value,) if added is None else (value, *added.inputs)
    if source is None or not any(producer(one, *_LAYERS) for one in behind):
        return False
    return edit.op("Tanh", edit.op("Min", source, number(_MOST)))
