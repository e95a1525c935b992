"""Turns the weights of layers between two Reshapes that part their rows alike.

1. `Reshape(Gemm(Reshape(x), w))` with `transB`, where `x` ends in `[n, a]`, the result in `[n, b]`
   and the rows of the Gemm in `n a` and `n b`, keeps its Gemm with `w` turned, without `transB`.

The compiler ends in an error of memory on such layers, however small, if the weights are as it
likes them (QAIRT 2.51, fp16, v73 and v81).
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, input_at, producer
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape

OPERATORS = ("Gemm",)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Turns the weights of one layer."""
    before, readers = producer(node.inputs[0], "Reshape"), node.outputs[0].consumers()
    if before is None or len(readers) != 1 or readers[0].op_type != "Reshape":
        return False
    weights = constant(node.inputs[1])
    if weights is None or node.attributes.get_int("transB", 0) == 0:
        return False
    if node.attributes.get_float("alpha", 1.0) != 1.0 or node.attributes.get_int("transA", 0) == 1:
        return False
    given, taken = static_shape(before.inputs[0]), static_shape(readers[0].outputs[0])
    if given is None or taken is None or min(len(given), len(taken)) < 2 or taken[-1] == 1:
        return False
    outputs, inputs = weights.shape
    if given[-2] != taken[-2] or (inputs, outputs) != (
        given[-2] * given[-1],
        taken[-2] * taken[-1],
    ):
        return False
    bias = input_at(node, 2)
    operands = (node.inputs[0], np.ascontiguousarray(weights.T), *([] if bias is None else [bias]))
    return edit.op("Gemm", *operands)
