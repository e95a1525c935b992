"""Writes normalizations that the NPU lacks with those that it has.

1. GroupNormalization = InstanceNormalization of the input as `[N, groups, ...]`, then
   scale and bias as below.
2. MeanVarianceNormalization = `(x - m) / (sqrt(mean((x - m)^2)) + 1e-9)`.
3. LayerNormalization and RMSNormalization over several last axes = over one, of the input with
   these axes merged.
4. BatchNormalization of 3 or 4 dimensions = a depthwise Conv of one tap, of others = Mul and Add.

In integers Qualcomm's runtime (QAIRT 2.51) computes many a BatchNormalization wrongly, of the same
shape as others that are right. By its estimate for QCS9075 the Conv costs as much at 8 bits and
less at 16, and it has a scale for each channel.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, integers, ints_attribute, number
from snapq.graph.passes.base import Result, Skipped
from snapq.graph.passes.fold.fold_batch_norm import batch_norm_affine
from snapq.graph.shapes import Shape, static_shape

_IMAGES = (3, 4)
"""Dimensions of the input of a Conv over lines and images."""


def apply(node: ir.Node, edit: Editor) -> Result:
    """Writes one normalization with others."""
    source, shape = node.inputs[0], static_shape(node.inputs[0])
    if source is None or shape is None or any(output.uses() for output in node.outputs[1:]):
        return False
    result = _WRITERS[node.op_type](node, source, shape, edit)
    if result is None and node.op_type in ("GroupNormalization", "BatchNormalization"):
        return Skipped("its parameters are computed")
    return result


def _group(node: ir.Node, source: ir.Value, shape: Shape, edit: Editor) -> ir.Value | None:
    scale, bias = constant(node.inputs[1]), constant(node.inputs[2])
    groups = node.attributes.get_int("num_groups", 1)
    if scale is None or bias is None or prod(shape) == 0:
        return None
    size = prod(shape) // (shape[0] * groups)
    grouped = edit.op("Reshape", source, integers(shape[0], groups, size, 1))
    ones, zeros = np.ones(groups, np.float32), np.zeros(groups, np.float32)
    epsilon = node.attributes.get_float("epsilon", 1e-5)
    normal = edit.op("InstanceNormalization", grouped, ones, zeros, epsilon=epsilon)
    return _affine(edit.op("Reshape", normal, integers(*shape)), scale, bias, len(shape), edit)


def _mean_variance(node: ir.Node, source: ir.Value, shape: Shape, edit: Editor) -> ir.Value:
    axes = integers(*(axis % len(shape) for axis in ints_attribute(node, "axes") or (0, 2, 3)))
    distance = edit.op("Sub", source, edit.op("ReduceMean", source, axes, keepdims=1))
    variance = edit.op("ReduceMean", edit.op("Mul", distance, distance), axes, keepdims=1)
    return edit.op("Div", distance, edit.op("Add", edit.op("Sqrt", variance), number(1e-9)))


def _several_axes(node: ir.Node, source: ir.Value, shape: Shape, edit: Editor) -> ir.Value | None:
    axis = node.attributes.get_int("axis", -1) % len(shape)
    parameters = [constant(value) for value in node.inputs[1:] if value is not None]
    if axis == len(shape) - 1 or any(array is None for array in parameters):
        return None
    merged = prod(shape[axis:])
    flat = edit.op("Reshape", source, integers(*shape[:axis], merged))
    known = (array for array in parameters if array is not None)
    vectors = [np.broadcast_to(array, shape[axis:]).reshape(-1) for array in known]
    epsilon = node.attributes.get_float("epsilon", 1e-5)
    normal = edit.op(node.op_type, flat, *vectors, axis=axis, epsilon=epsilon)
    return edit.op("Reshape", normal, integers(*shape))


def _batch(node: ir.Node, source: ir.Value, shape: Shape, edit: Editor) -> ir.Value | None:
    affine = batch_norm_affine(node)
    if affine is None:
        return None
    scale, shift = (array.astype(np.float32) for array in affine)
    return _affine(source, scale, shift, len(shape), edit)


def _affine(
    source: ir.Value, scale: np.ndarray, shift: np.ndarray, dims: int, edit: Editor
) -> ir.Value:
    """`scale * source + shift`, a value of each a channel (axis 1)."""
    spatial = (1,) * (dims - 2)
    if dims in _IMAGES:
        weight = scale.reshape(-1, 1, *spatial)
        return edit.op("Conv", source, weight, shift, kernel_shape=spatial, group=scale.size)
    scaled = edit.op("Mul", source, scale.reshape(-1, *spatial))
    return edit.op("Add", scaled, shift.reshape(-1, *spatial))


_WRITERS: dict[str, Callable[[ir.Node, ir.Value, Shape, Editor], ir.Value | None]] = {
    "GroupNormalization": _group,
    "MeanVarianceNormalization": _mean_variance,
    "BatchNormalization": _batch,
    **dict.fromkeys(("LayerNormalization", "RMSNormalization"), _several_axes),
}

OPERATORS = tuple(_WRITERS)
