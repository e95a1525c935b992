"""Finds root-mean-square and L2 normalization in their parts.

1. `x / sqrt(mean(x^2) + epsilon)` over the last axis becomes RMSNormalization, whose scale
   fold_scale folds in.
2. `x / sqrt(sum(x^2))` and `x / ReduceL2(x)` over one axis become LpNormalization, also where the
   divisor is kept above an epsilon of at most 1e-6.
3. `x / (c ReduceL2(x))` over the last axis of n values becomes RMSNormalization times
   `1 / (c sqrt(n))`, also where the divisor is kept above an epsilon, which is the same for rows of
   more than ten times that (ScaleNorm, as in RTMPose).

Source: Zhang and Sennrich, arXiv:1910.07467; operator RMSNormalization of opset 23.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, input_at, is_float, is_op, producer, reduced_axes, scalar
from snapq.graph.passes.algebra import downstream, matches, polynomial, upstream
from snapq.graph.passes.base import Result, Skipped
from snapq.graph.passes.fuse.fuse_norm import roots
from snapq.graph.shapes import static_shape

OPERATORS = ("ReduceMean", "ReduceSum", "ReduceL2")

_LARGEST_FLOOR, _LARGEST_SCALED_FLOOR = 1e-6, 1e-5


def apply(node: ir.Node, edit: Editor) -> Result:
    """Makes one normalization of a reduced square and what is divided by it."""
    squared = node.inputs[0]
    axes = reduced_axes(node)
    if squared is None or axes is None or len(axes) != 1 or not is_float(squared):
        return False
    if not node.attributes.get_int("keepdims", 1):
        return False
    sources = [squared] if node.op_type == "ReduceL2" else list(upstream(squared, steps=2))
    for source in sources:
        if static_shape(source) is None or (
            node.op_type != "ReduceL2" and not matches(polynomial(squared, [source]), {(2,): 1.0})
        ):
            continue
        for root, epsilon, sign in _divisors(node):
            for result in downstream(root, steps=2):
                if matches(polynomial(result, [source, root]), {(1, sign): 1.0}):
                    return _fuse(node, result, source, axes[0], epsilon, edit)
        if node.op_type == "ReduceL2":
            for root, factor, low in _scaled(node.outputs[0]):
                for result in downstream(root, steps=2):
                    if matches(polynomial(result, [source, root]), {(1, -1): 1.0}):
                        return _fuse_scaled(result, source, axes[0], factor, low, edit)
    return False


def _scaled(norm: ir.Value) -> Iterator[tuple[ir.Value, float, float]]:
    """The norm times a factor, and the same kept above a small epsilon, with both."""
    for node in norm.consumers():
        factor = next((one for one in map(scalar, node.inputs) if one is not None), None)
        if is_op(node, "Mul") and factor is not None and factor > 0:
            scaled = node.outputs[0]
            yield scaled, factor, 0.0
            for low, floor in _kept_above(scaled):
                if low <= _LARGEST_SCALED_FLOOR:
                    yield floor, factor, low


def _kept_above(value: ir.Value) -> Iterator[tuple[float, ir.Value]]:
    """What keeps a value above a constant that is not negative."""
    for node in value.consumers():
        low = scalar(input_at(node, 1))
        kept = is_op(node, "Max") or (is_op(node, "Clip") and input_at(node, 2) is None)
        if kept and low is not None and low >= 0:
            yield low, node.outputs[0]


def _divisors(node: ir.Node) -> Iterator[tuple[ir.Value, float, int]]:
    """Values that x is divided by (sign -1) or multiplied with (sign 1), and their epsilon."""
    if node.op_type == "ReduceL2":
        for floor in _floors(node.outputs[0]):
            yield floor, 0.0, -1
        return
    for root, epsilon in roots(node.outputs[0]):
        maker = producer(root, "Pow")
        sign = 1 if maker is not None and scalar(maker.inputs[1]) == -0.5 else -1
        if node.op_type == "ReduceMean":
            yield root, epsilon, sign
        elif epsilon <= 1e-10:
            for floor in _floors(root):
                yield floor, 0.0, sign


def _floors(norm: ir.Value) -> Iterator[ir.Value]:
    """The norm, and the norm kept above a small epsilon: PyTorch's `normalize` does so."""
    yield norm
    for low, floor in _kept_above(norm):
        if low <= _LARGEST_FLOOR:
            yield floor
            yield from _expanded(floor)
    yield from _expanded(norm)


def _expanded(value: ir.Value) -> Iterator[ir.Value]:
    yield from (node.outputs[0] for node in value.consumers() if is_op(node, "Expand"))


def _fuse(
    node: ir.Node, result: ir.Value, source: ir.Value, axis: int, epsilon: float, edit: Editor
) -> Result:
    shape = static_shape(source) or ()
    edit.begin(result)
    if node.op_type != "ReduceMean":
        fused = edit.op("LpNormalization", source, axis=axis, p=2)
    elif axis == len(shape) - 1:
        ones = np.ones(shape[-1:], np.float32)
        fused = edit.op("RMSNormalization", source, ones, axis=axis, epsilon=epsilon)
    else:
        return Skipped("RMSNormalization is over the last axis, this one is not")
    edit.replace_scaled(result, fused, 1.0)
    return True


def _fuse_scaled(
    result: ir.Value, source: ir.Value, axis: int, factor: float, low: float, edit: Editor
) -> Result:
    shape = static_shape(source) or ()
    if axis != len(shape) - 1:
        return Skipped("RMSNormalization is over the last axis, this one is not")
    edit.begin(result)
    scale = factor * shape[-1] ** 0.5
    ones = np.ones(shape[-1:], np.float32)
    epsilon = (low / scale) ** 2
    fused = edit.op("RMSNormalization", source, ones, axis=axis, epsilon=epsilon)
    edit.replace_scaled(result, fused, 1 / scale)
    return True
