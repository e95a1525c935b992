"""Checks of weights, scales and biases."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from snapq.operators import Role
from snapq.quantization.encodings import QuantType
from snapq.quantization.lint.checks.base import DEQUANTIZE, Check, Finding, View
from snapq.quantization.qdq.parameters import weight_axis

__all__ = ["CHECKS"]

_TOLERANCE = 1e-4
"""Scales of a bias may differ from data x weight by this much: the rounding of float32."""


def per_channel_activation(view: View, node: ir.Node) -> Iterator[Finding]:
    """One scale a channel is for constant weights and biases only."""
    encoding = view.encoding(node) if node.op_type == DEQUANTIZE else None
    if encoding is None or encoding.axis is None:
        return
    roles = {_role(view, user, index) for user, index in node.outputs[0].uses()}
    if view.stored(node) is None or not roles <= {Role.WEIGHT, Role.BIAS, Role.SCALE}:
        yield Finding(
            str(node.name),
            "per-channel-activation",
            "It has one scale a channel, which the NPU takes for weights and biases only.",
            "Give it one scale.",
        )


def per_channel_axis(view: View, node: ir.Node) -> Iterator[Finding]:
    """The scales of a weight lie along its output channels."""
    rule, reader = view.rule(node), view.input_of(node, Role.WEIGHT)
    encoding = view.encoding(reader)
    if rule is None or reader is None or encoding is None or encoding.axis is None:
        return
    source = reader.inputs[0]
    rank = source.shape.rank() if source is not None and source.shape is not None else None
    if rank is None:
        return
    wanted = weight_axis(node, rank)
    if encoding.axis == wanted:
        return
    yield Finding(
        str(node.name),
        "per-channel-axis",
        f"The weight has one scale for each index of axis {encoding.axis}; "
        + (
            f"{node.op_type} has its output channels on axis {wanted}."
            if wanted is not None
            else f"this {node.op_type} takes one scale a tensor only."
        ),
        "Quantize the weight again.",
    )


def bias_type(view: View, node: ir.Node) -> Iterator[Finding]:
    """A bias is int32."""
    encoding = view.encoding(view.input_of(node, Role.BIAS))
    if encoding is not None and encoding.dtype is not QuantType.INT32:
        yield Finding(
            str(node.name),
            "bias-type",
            f"The bias is {encoding.dtype.value}; the NPU adds int32.",
            "Quantize the bias to int32 at data scale x weight scale.",
        )


def bias_scale(view: View, node: ir.Node) -> Iterator[Finding]:
    """The scale of a bias is that of the data times that of the weight."""
    bias = view.encoding(view.input_of(node, Role.BIAS))
    data = view.encoding(view.input_of(node, Role.DATA))
    reader = view.input_of(node, Role.WEIGHT) or view.input_of(node, Role.SCALE)
    weight = view.encoding(reader)
    if bias is None or data is None or weight is None or bias.dtype is not QuantType.INT32:
        return
    wanted = data.scale.astype(np.float64) * weight.scale
    same = bias.scale.shape == wanted.shape or bias.scale.size == 1 or wanted.size == 1
    if not same or not np.allclose(bias.scale, wanted, rtol=_TOLERANCE, atol=0.0):
        yield Finding(
            str(node.name),
            "bias-scale",
            "The scale of the bias is not data scale x weight scale, which is what the NPU uses.",
            "Quantize the bias again at that scale.",
        )


def shared_bias(view: View, node: ir.Node) -> Iterator[Finding]:
    """Nodes that share the integers of a bias agree on what they mean."""
    reader = view.input_of(node, Role.BIAS)
    source = reader.inputs[0] if reader is not None else None
    if reader is None or source is None:
        return
    others = [user for user, _ in source.uses() if user is not reader]
    users = [user for user, _ in reader.outputs[0].uses() if user is not node]
    if others or any(_data_scale(view, user) != _data_scale(view, node) for user in users):
        yield Finding(
            str(node.name),
            "shared-bias",
            f"Its bias '{source.name}' is shared with nodes that have other scales.",
            "Give each node a bias of its own.",
        )


CHECKS: tuple[Check, ...] = (
    per_channel_activation,
    per_channel_axis,
    bias_type,
    bias_scale,
    shared_bias,
)


def _role(view: View, node: ir.Node, index: int) -> Role:
    rule = view.rule(node)
    return rule.role(index) if rule is not None else Role.OTHER


def _data_scale(view: View, node: ir.Node) -> float | None:
    encoding = view.encoding(view.input_of(node, Role.DATA))
    return float(encoding.scale) if encoding is not None and encoding.axis is None else None
