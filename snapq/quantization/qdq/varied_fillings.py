"""Keeps a Concat with constants of one number from being compiled as a Pad.

Qualcomm's compiler takes such a Concat for a Pad, and computes that wrongly behind many operators:
behind a LayerNormalization -6 dB, a Softmax 0, a Gemm and a Sigmoid 1, a Conv, beside channels of
one number and in front of another, 6 to 14, in integers of 8 and 16 bits; 40 and more where the
numbers differ (simulator of QAIRT 2.51 for QCS9075; QCS6490 too). So one element has another code:
at 16 bits the next one; at 8 bits the next one in steps of 16 bits, in which the constant is held
until a Q rounds it to what it was. Behind others, one single number gets a second one beside it,
which a Slice takes off.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, integers, is_op, producer
from snapq.graph.shapes import static_shape

__all__ = ["vary_fillings"]

_MIDDLE = 2**15
_FINE = 30_000
"""Codes of 16 bits, from the middle, that hold the number of 8 bits."""


def vary_fillings(graph: ir.Graph) -> None:
    """Gives one element of each such constant another code, in place."""
    edit = Editor(graph)
    for node in tuple(graph):
        if node.op_type != "Concat":
            continue
        for index, value in enumerate(tuple(node.inputs)):
            read = producer(value, "DequantizeLinear")
            codes = constant(read.inputs[0]) if read is not None else None
            if read is None or codes is None or np.unique(codes).size != 1:
                continue
            edit.begin(node)
            if codes.size > 1:
                node.replace_input_with(index, _varied(read, codes, edit))
            elif value is node.inputs[-1]:
                _widen(node, read, codes, edit)
            edit.remove_if_dead(read)


def _widen(node: ir.Node, read: ir.Node, codes: np.ndarray, edit: Editor) -> None:
    """Joins two numbers in the place of one, and takes the second off."""
    (use, *others) = node.outputs[0].uses()
    shape = static_shape(node.outputs[0])
    if others or shape is None or not is_op(use.node, "QuantizeLinear"):
        return
    axis = node.attributes.get_int("axis", 0) % len(shape)
    encoding = use.node.inputs[1:3]
    both = np.concatenate([codes, codes ^ 1], axis)
    numbers = edit.op("DequantizeLinear", both, *read.inputs[1:3])
    wide = edit.op("Concat", *node.inputs[:-1], numbers, axis=axis)
    held = edit.op("DequantizeLinear", edit.op("QuantizeLinear", wide, *encoding), *encoding)
    ends = integers(0), integers(shape[axis]), integers(axis)
    edit.replace(node.outputs[0], edit.op("Slice", held, *ends))
    edit.remove_if_dead(node)


def _varied(read: ir.Node, codes: np.ndarray, edit: Editor) -> ir.Value:
    """What reads the constant back, with one element of another code."""
    scale, zero = constant(read.inputs[1]), constant(read.inputs[2])
    assert scale is not None
    assert zero is not None
    given = read.inputs[1], read.inputs[2]
    if codes.dtype == np.uint16:
        changed = codes.copy()
        changed.flat[0] = changed.flat[0] - 1 if changed.flat[0] else 1
        return edit.op("DequantizeLinear", changed, *given)
    real = (float(codes.flat[0]) - float(zero)) * float(scale)
    step = max(abs(real), float(scale)) / _FINE
    fine = np.full(codes.shape, _MIDDLE + round(real / step), np.uint16)
    fine.flat[0] += 1
    held = edit.op(
        "DequantizeLinear", fine, np.array(step, np.float32), np.array(_MIDDLE, np.uint16)
    )
    rounded = edit.op("QuantizeLinear", held, *given)
    return edit.op("DequantizeLinear", rounded, *given)
