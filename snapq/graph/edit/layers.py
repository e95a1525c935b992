"""Layers that are linear in their input: where their channels are, and how to scale and shift."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, aligned, constant, input_at, is_op, rank, sole_producer
from snapq.graph.shapes import static_shape
from snapq.operators import Role, Trait, having, spec

SCALABLE = having(Trait.SCALABLE)
"""Operators whose output can be scaled through their constants."""
SHIFTABLE = having(Trait.SCALABLE, role=Role.BIAS)
"""Those of them that have a bias."""


def layer_before(value: ir.Value | None, operators: tuple[str, ...]) -> ir.Node | None:
    """The linear layer that makes `value` for this use alone, with constant parameters."""
    node = sole_producer(value, *operators)
    if node is None or len(node.outputs) != 1 or constant(input_at(node, 1)) is None:
        return None
    bias = input_at(node, 2)
    if bias is not None and constant(bias) is None:
        return None
    if is_op(node, "Gemm") and not is_canonical_gemm(node):
        return None
    if is_op(node, "LayerNormalization", "RMSNormalization"):
        dims = rank(node.inputs[0])
        if dims is None or node.attributes.get_int("axis", -1) % dims != dims - 1:
            return None  # it normalizes over several axes
    return node


def is_canonical_gemm(node: ir.Node) -> bool:
    """Whether a Gemm is `x @ w.T + b` with a bias `[N]`: the form that `canonical_gemm` makes."""
    factors = [node.attributes.get(name) for name in ("alpha", "beta")]
    bias = input_at(node, 2)
    return (
        node.attributes.get_int("transA", 0) == 0
        and node.attributes.get_int("transB", 0) == 1
        and all(factor is None or factor.as_float() == 1 for factor in factors)
        and (bias is None or rank(bias) == 1)
    )


def along_channels(node: ir.Node, array: np.ndarray) -> np.ndarray | None:
    """The constant as one number per output channel `[C]` of the layer, or None."""
    shape = static_shape(node.outputs[0])
    if shape is None or not shape or not np.issubdtype(array.dtype, np.floating):
        return None
    axis = spec(node.op_type).channel_axis
    if axis is None or axis >= len(shape):
        return None
    return aligned(array, shape, axis % len(shape))


def scale_and_shift(
    node: ir.Node, edit: Editor, scale: np.ndarray | None, shift: np.ndarray | None
) -> None:
    """Makes the layer compute `scale * y + shift` (each `[C]` or None) through its constants."""
    weight = constant(node.inputs[1])
    assert weight is not None
    bias = constant(input_at(node, 2))
    if scale is not None:
        wide = scale.astype(np.float64)
        edit.set_constant(node, 1, (weight * _spread(node, weight, wide)).astype(weight.dtype))
        if bias is not None:
            edit.set_constant(node, 2, (bias * wide).astype(bias.dtype))
            bias = constant(node.inputs[2])
    if shift is not None:
        edit.set_constant(node, 2, (shift if bias is None else bias + shift).astype(weight.dtype))


def scale_inputs(node: ir.Node, edit: Editor, scale: np.ndarray, shift: np.ndarray) -> None:
    """Makes the Conv or Gemm compute `f(scale * x + shift)` (each `[C_in]`) of its input `x`.

    The shift reaches the output as a constant, which is exact only without padding.
    """
    weight = constant(node.inputs[1])
    bias = constant(input_at(node, 2))
    assert weight is not None
    wide = weight.astype(np.float64)
    if is_op(node, "Gemm"):
        addition = wide @ shift
        scaled = wide * scale
    else:
        scaled, addition = scaled_kernel(wide, node.attributes.get_int("group", 1), scale, shift)
    edit.set_constant(node, 1, scaled.astype(weight.dtype))
    if np.any(shift != 0):
        total = addition if bias is None else bias + addition
        edit.set_constant(node, 2, total.astype(weight.dtype))


def scaled_kernel(
    kernel: np.ndarray, groups: int, scale: np.ndarray, shift: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The kernel `[O, C / groups, …]` and summand `[O]` of a Conv that takes `scale * x + shift`.

    Args:
        kernel: of the Conv that takes x.
        groups: of the Conv.
        scale: one a channel, `[C]`.
        shift: one a channel, `[C]`; what the summand makes of it is exact without padding.
    """
    outputs, taps = kernel.shape[0] // groups, (1,) * (kernel.ndim - 2)
    scales, shifts = (
        np.repeat(array.reshape(groups, -1), outputs, axis=0) for array in (scale, shift)
    )
    sums = kernel.reshape(*kernel.shape[:2], -1).sum(-1)
    return kernel * scales.reshape(*scales.shape, *taps), (sums * shifts).sum(-1)


def _spread(node: ir.Node, weight: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The scale per output channel in the shape that multiplies the weight."""
    if is_op(node, "Conv"):
        return scale.reshape(-1, *(1,) * (weight.ndim - 1))
    if is_op(node, "ConvTranspose"):
        groups = node.attributes.get_int("group", 1)
        rows = np.repeat(scale.reshape(groups, -1), weight.shape[0] // groups, axis=0)
        return rows.reshape(*rows.shape, *(1,) * (weight.ndim - 2))
    if is_op(node, "Gemm"):
        return scale.reshape(-1, 1)
    return scale
