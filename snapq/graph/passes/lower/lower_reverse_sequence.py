"""Writes sequences that are turned round as moves that the NPU has.

1. `ReverseSequence` with constant lengths is a Slice backwards where all are the whole length, and
   a Gather of steps where they are shorter.

Source: the ONNX operator ReverseSequence-10.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, integers, ints_input
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape

OPERATORS = ("ReverseSequence",)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Turns the sequences of one node round."""
    source, shape = node.inputs[0], static_shape(node.inputs[0])
    if source is None or shape is None or 0 in shape:
        return False
    lengths = ints_input(node, 1, ())
    time = node.attributes.get_int("time_axis", 0)
    batch = node.attributes.get_int("batch_axis", 1)
    if not lengths:
        return False
    steps = shape[time]
    if set(lengths) == {steps}:
        bounds = (integers(-1), integers(-steps - 1), integers(time), integers(-1))
        return edit.op("Slice", source, *bounds)
    orders = [np.arange(steps) for _ in lengths]
    for order, length in zip(orders, lengths, strict=True):
        order[:length] = order[:length][::-1]
    if len({*lengths}) == 1:
        return edit.op("Gather", source, orders[0], axis=time)
    if {time, batch} != {0, 1}:
        return False
    rows = np.stack([order * (shape[batch] if time == 0 else 1) for order in orders])
    rows += np.arange(len(orders))[:, np.newaxis] * (1 if time == 0 else steps)
    flat = edit.op("Reshape", source, integers(-1, *shape[2:]))
    taken = edit.op("Gather", flat, (rows.T if time == 0 else rows).reshape(-1), axis=0)
    return edit.op("Reshape", taken, integers(*shape))
