"""Folds a constant scale and shift of the input into the Conv or Gemm behind it.

1. `f(BatchNormalization(x))`, `f(Mul(x, c))`, `f(Div(x, c))`, `f(Add(x, c))` and `f(Sub(x, c))`,
   c one number or one per channel, become f with other weights, where nothing else uses the middle.
2. With a shift, only where f pads nothing: the padding would have to be shifted too.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import (
    Editor,
    aligned,
    constant,
    constant_operand,
    input_at,
    ints_attribute,
    same_shape,
    sole_producer,
)
from snapq.graph.edit.layers import is_canonical_gemm, scale_inputs
from snapq.graph.passes.base import Result, Skipped
from snapq.graph.passes.fold.fold_batch_norm import batch_norm_affine
from snapq.graph.shapes import static_shape

OPERATORS = ("Conv", "Gemm")

Affine = tuple[ir.Value, np.ndarray, np.ndarray]


def apply(node: ir.Node, edit: Editor) -> Result:
    """Moves the scale and shift in front of one layer into its weights."""
    middle = sole_producer(node.inputs[0], "BatchNormalization", "Mul", "Div", "Add", "Sub")
    if middle is None or constant(node.inputs[1]) is None:
        return False
    bias = input_at(node, 2)
    if bias is not None and constant(bias) is None:
        return False
    if node.op_type == "Gemm" and not is_canonical_gemm(node):
        return False
    affine = _affine(middle)
    if affine is None:
        return False
    source, scale, shift = affine
    padded = node.attributes.get_string("auto_pad", "NOTSET") not in ("NOTSET", "VALID")
    if np.any(shift != 0) and (padded or any(ints_attribute(node, "pads") or ())):
        return Skipped(f"{node.op_type} pads with zeros, which would have to be shifted too")
    scale_inputs(node, edit, scale, shift)
    node.replace_input_with(0, source)
    edit.remove_if_dead(middle)
    return True


def _affine(middle: ir.Node) -> Affine | None:
    """The source of `middle` and the scale and shift `[C]` that it applies."""
    source = middle.inputs[0]
    if middle.op_type == "BatchNormalization":
        affine = batch_norm_affine(middle)
        return None if affine is None or source is None else (source, *affine)
    operands = constant_operand(middle)
    shape = static_shape(middle.outputs[0])
    if operands is None or shape is None or len(shape) < 2:
        return None
    source, array = operands
    number = aligned(array, shape, 1)
    if number is None or not same_shape(source, middle.outputs[0]):
        return None
    values = number.astype(np.float64)
    one, zero = np.ones_like(values), np.zeros_like(values)
    match middle.op_type:
        case "Mul":
            return source, values, zero
        case "Add":
            return source, one, values
        case "Sub":
            first = source is middle.inputs[0]
            return (source, one, -values) if first else (source, -one, values)
        case _:
            if source is not middle.inputs[0] or np.any(values == 0):
                return None
            return source, 1.0 / values, zero
