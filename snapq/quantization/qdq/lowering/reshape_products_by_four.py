"""Brings what a fully connected layer gives to 5 dimensions by way of 4.

Where the last two of 5 dimensions are equal, `Reshape(Gemm(x), [1, 8, 8, 8, 8])` has its values at
other places on the NPU: -14 dB at 8 and at 16 bits; with a Reshape to `[1, 8, 64, 8]` between, it
has 43 and 80 (simulator of QAIRT 2.51, v68 to v81). Other makers of what is reshaped are right, and
fp16 is.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, constant, integers, is_float, is_op
from snapq.graph.shapes import static_shape
from snapq.operators import clamps
from snapq.quantization.qdq.scheme import Scheme

__all__ = ["reshape_products_by_four"]


def reshape_products_by_four(graph: ir.Graph, scheme: Scheme) -> Scheme:
    """Puts a Reshape in front of each such Reshape, in place."""
    edit = Editor(graph)
    for node in graph:
        shape = static_shape(node.outputs[0]) if node.op_type == "Reshape" else None
        source = node.inputs[0]
        if shape is None or len(shape) != 5 or shape[3] != shape[4] or not is_float(source):
            continue
        if not _is_product(source):
            continue
        edit.begin(node)
        between = (shape[0], shape[1], shape[2] * shape[3], shape[4])
        given = edit.op("Reshape", source, integers(*between))
        given.type, given.shape = node.outputs[0].type, ir.Shape(between)
        node.replace_input_with(0, given)
    return scheme


def _is_product(value: ir.Value | None) -> bool:
    """Whether a layer with a constant weight gives a value, or a clamp behind it."""
    node = value.producer() if value is not None else None
    while node is not None and clamps(node):
        node = node.inputs[0].producer() if node.inputs[0] is not None else None
    return (
        node is not None and is_op(node, "Gemm", "MatMul") and constant(node.inputs[1]) is not None
    )
