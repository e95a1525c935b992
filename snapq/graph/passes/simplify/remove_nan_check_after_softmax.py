"""Removes the test for NaN behind a Softmax that cannot give NaN.

1. `Where(IsNaN(s), c, s)`, s a Softmax, becomes s where each row of logits keeps a finite number:
   with no mask, with a mask of finite numbers, or with a constant mask that leaves something of
   each row.

PyTorch writes this test into each `scaled_dot_product_attention`, for rows that are wholly masked
by -inf. Products of layers and normalizations count as finite, and so do the inputs.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, is_op, producer
from snapq.graph.passes.base import Result, Skipped
from snapq.graph.shapes import Shape, static_shape
from snapq.operators import Trait, spec_of

OPERATORS = ("Where",)

_STEPS = 12


def apply(node: ir.Node, edit: Editor) -> Result:
    """Takes one test away."""
    softmax = tested(node)
    if softmax is None:
        return False
    shape, logits = static_shape(softmax.outputs[0]), softmax.inputs[0]
    if shape is None or 0 in shape:
        return False
    axis = softmax.attributes.get_int("axis", -1) % len(shape)
    if not (_finite(logits, _STEPS) or _leaves_some(logits, shape, axis)):
        return Skipped("nothing shows that each row of logits keeps a finite number")
    return softmax.outputs[0]


def tested(node: ir.Node) -> ir.Node | None:
    """The Softmax `s` of `Where(IsNaN(s), constant, s)`; None for any other node."""
    if not is_op(node, "Where") or constant(node.inputs[1]) is None:
        return None
    test, softmax = producer(node.inputs[0], "IsNaN"), producer(node.inputs[2], "Softmax")
    if test is None or softmax is None or test.inputs[0] is not softmax.outputs[0]:
        return None
    return softmax


def _finite(value: ir.Value | None, steps: int) -> bool:
    """Whether a value holds finite numbers only."""
    if value is None:
        return True
    array = constant(value)
    if array is not None:
        return bool(np.all(np.isfinite(array)))
    node = value.producer()
    if node is None or steps == 0:
        return node is None and value.is_graph_input()
    row = spec_of(node)
    if row.has(Trait.FINITE):
        return True
    if node.op_type == "Div":
        divisor = constant(node.inputs[1])
        return divisor is not None and bool(np.all(divisor)) and _finite(node.inputs[0], steps - 1)
    data = (item for index, item in enumerate(node.inputs) if row.role(index).quantized)
    return row.has(Trait.KEEPS_FINITE) and all(_finite(item, steps - 1) for item in data)


def _leaves_some(value: ir.Value | None, shape: Shape, axis: int) -> bool:
    """Whether logits with a constant mask have a finite number in each row, and no NaN or +inf."""
    node = producer(value, "Add", "Where")
    if node is None:
        return False
    if node.op_type == "Add":
        pairs = [(node.inputs[0], node.inputs[1]), (node.inputs[1], node.inputs[0])]
        return any(
            _finite(other, _STEPS)
            and _below_infinity(mask)
            and _each_row(np.isfinite(array), shape, axis)
            for other, mask in pairs
            if (array := constant(mask)) is not None
        )
    chosen = constant(node.inputs[0])
    if chosen is None or not all(_below_infinity(item) for item in node.inputs[1:]):
        return False
    finite = [_finite(item, _STEPS) for item in node.inputs[1:]]
    kept = np.where(chosen, *finite)
    return _each_row(kept, shape, axis)


def _below_infinity(value: ir.Value | None) -> bool:
    """Whether a value holds neither NaN nor +inf."""
    array = constant(value)
    return _finite(value, _STEPS) if array is None else bool(np.all(array < np.inf))


def _each_row(kept: np.ndarray, shape: Shape, axis: int) -> bool:
    full = kept.reshape((1,) * (len(shape) - kept.ndim) + kept.shape)
    return bool(full.any(axis=axis).all())
