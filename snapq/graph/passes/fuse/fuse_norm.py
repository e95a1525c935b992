"""Finds layer and instance normalization in their parts.

With m the mean of x over some axes, and v the mean of `(x - m)^2` over the same axes:

1. `(x - m) / sqrt(v + epsilon)` over the last axes becomes LayerNormalization;
2. over all spatial axes of `[N, C, ...]`, InstanceNormalization;
3. over axis 1 of `[N, C, ...]`, LayerNormalization between two Transposes.

The scale and bias that follow are folded in by fold_scale and fold_bias. Source: Ba et al., Layer
Normalization, arXiv:1607.06450; operator LayerNormalization of opset 17.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, is_float, is_op, producer, reduced_axes, scalar
from snapq.graph.passes.algebra import Polynomial, downstream, matches, polynomial
from snapq.graph.passes.base import Result, Skipped
from snapq.graph.shapes import Shape, static_shape

OPERATORS = ("ReduceMean",)

_SQUARED_DISTANCE: Polynomial = {(2, 0): 1.0, (1, 1): -2.0, (0, 2): 1.0}
_DISTANCE: Polynomial = {(1, 0): 1.0, (0, 1): -1.0}


def apply(node: ir.Node, edit: Editor) -> Result:
    """Makes one normalization of a mean and what follows from it."""
    source, mean = node.inputs[0], node.outputs[0]
    axes = reduced_axes(node)
    if source is None or static_shape(source) is None or not axes or not is_float(source):
        return False
    if not node.attributes.get_int("keepdims", 1):
        return False
    for distance in downstream(mean, steps=1):
        if not matches(polynomial(distance, [source, mean]), _DISTANCE):
            continue
        for root, epsilon in _deviations(source, mean, axes):
            for result in downstream(root, steps=2):
                divided = polynomial(result, [source, mean, root])
                power = producer(root, "Pow")
                sign = 1 if power is not None and scalar(power.inputs[1]) == -0.5 else -1
                if matches(divided, {(1, 0, sign): 1.0, (0, 1, sign): -1.0}):
                    return _fuse(result, source, axes, epsilon, edit)
    return False


def _deviations(
    source: ir.Value, mean: ir.Value, axes: tuple[int, ...]
) -> Iterator[tuple[ir.Value, float]]:
    """Values `sqrt(v + epsilon)`, or `1 / sqrt(v + epsilon)` as a power, and their epsilon."""
    for squared in downstream(mean, steps=3):
        if not matches(polynomial(squared, [source, mean]), _SQUARED_DISTANCE):
            continue
        for node in squared.consumers():
            if is_op(node, "ReduceMean") and reduced_axes(node) == axes:
                yield from roots(node.outputs[0])


def roots(variance: ir.Value) -> Iterator[tuple[ir.Value, float]]:
    """Square roots and inverse square roots of `variance + epsilon`, with the epsilon."""
    candidates: list[tuple[ir.Value, float]] = [(variance, 0.0)]
    for shifted in downstream(variance, steps=1):
        found = polynomial(shifted, [variance])
        if found is not None and set(found) == {(1,), (0,)} and found[(1,)] == 1:
            candidates.append((shifted, found[(0,)]))
    for value, epsilon in candidates:
        for node in value.consumers():
            power = scalar(node.inputs[1]) if is_op(node, "Pow") else None
            if is_op(node, "Sqrt") or power in (0.5, -0.5):
                yield node.outputs[0], epsilon


def _fuse(
    result: ir.Value, source: ir.Value, axes: tuple[int, ...], epsilon: float, edit: Editor
) -> Result:
    shape = static_shape(source) or ()
    edit.begin(result)
    dims = len(shape)
    if axes == tuple(range(axes[0], dims)) and (dims < 3 or axes != tuple(range(2, dims))):
        fused = _layer_norm(source, shape[axes[0] :], axes[0], epsilon, edit)
    elif axes == tuple(range(2, dims)) and dims == 3:
        fused = _layer_norm(source, shape[2:], 2, epsilon, edit)
    elif axes == tuple(range(2, dims)):
        ones, zeros = np.ones(shape[1], np.float32), np.zeros(shape[1], np.float32)
        fused = edit.op("InstanceNormalization", source, ones, zeros, epsilon=epsilon)
    elif axes == (1,) and dims > 2:
        there = [0, *range(2, dims), 1]
        back = [0, dims - 1, *range(1, dims - 1)]
        turned = edit.op("Transpose", source, perm=there)
        inner = _layer_norm(turned, shape[1:2], dims - 1, epsilon, edit)
        fused = edit.op("Transpose", inner, perm=back)
    else:
        return Skipped(f"no operator normalizes over axes {list(axes)} of {dims}")
    edit.replace_scaled(result, fused, 1.0)
    return True


def _layer_norm(source: ir.Value, size: Shape, axis: int, epsilon: float, edit: Editor) -> ir.Value:
    ones, zeros = np.ones(size, np.float32), np.zeros(size, np.float32)
    return edit.op("LayerNormalization", source, ones, zeros, axis=axis, epsilon=epsilon)
