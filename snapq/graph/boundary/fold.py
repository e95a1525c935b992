"""Folds what one encoding cannot say of a normalization into the float model.

One scale and one zero point hold for all channels of an input. Means and deviations that differ
from channel to channel, or a mean that is no integer, leave `factor * x + offset` a channel to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from snapq.graph.boundary.values import Boundary, InputBoundary
from snapq.graph.edit import (
    constant,
    input_at,
    insert_before_uses,
    ints_attribute,
    new_constant,
    new_node,
    permutation,
    rank,
    same_padding,
    scalar,
)
from snapq.graph.edit.layers import scaled_kernel
from snapq.graph.shapes import static_shape

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class _Site:
    """Where an input's values end up: after its Transposes, and before a Pad where there is one."""

    value: ir.Value
    """What the affine, if one is needed, is applied to."""
    channel_axis: int
    conv: ir.Node | None
    """The Conv that alone consumes the input, if so."""
    zero_padded: bool
    """Whether zeros are set beside the pixels before the Conv computes."""


def fold_normalization(model: ir.Model, boundary: Boundary) -> ir.Model:
    """Returns a float model that takes `(pixel - zero_point) * scale` and gives the same outputs.

    For each input that the boundary plans so:
    1. Into the weights and the bias of the first Conv, where no zero stands beside the pixels (no
       padding), or where there is no offset: free, exact.
    2. A Conv that pads: zero beside normalized pixels is `mean` beside raw ones, another value a
       channel. A 1x1 Conv before it adds a channel that is constant inside the picture; the
       padding leaves it 0 outside; its weights carry the offsets. Exact, and no rounding is added.
    3. Anything else: Mul and Add.

    On SoC 77 and 72, EfficientNet-Lite0 in w8a8 is estimated at 325,965 and 175,856 cycles
    without any, 365,140 and 200,618 with 2, 365,119 and 200,618 with 3 (BatchNormalization and a
    depthwise Conv the same), 394,956 and 253,050 where Pad adds the channel. In w8a16: 629,975
    and 458,708 with 2, 687,580 and 528,817 with a depthwise Conv; in fp16 1,434,643 and 490,314
    with 2, 1,429,538 and 523,390 with a depthwise Conv.

    Args:
        model: the prepared float model; it is left as it is.
        boundary: what `plan` gave for its inputs.
    """
    folded = model.clone()
    inputs = {str(value.name): value for value in folded.graph.inputs}
    for item in boundary.inputs:
        if item.folded and item.name in inputs:
            _fold(folded.graph, inputs[item.name], item)
    return folded


def _fold(graph: ir.Graph, value: ir.Value, item: InputBoundary) -> None:
    factor, offset = item.residual
    if item.channel_axis is None or not value.uses():
        return
    site = _find_site(graph, value, item.channel_axis)
    if site.conv is None:
        _insert_affine(graph, site, factor, offset)
    elif not site.zero_padded or not offset.any():
        groups = site.conv.attributes.get_int("group", 1)
        weights, bias = _weights(site.conv)
        scaled, addition = scaled_kernel(weights, groups, factor, offset)
        _set_weights(graph, site.conv, scaled, bias + addition)
    elif site.conv.attributes.get_int("group", 1) == 1:
        _add_constant_channel(graph, site, factor, offset, item)
    else:
        _insert_affine(graph, site, factor, offset)


def _find_site(graph: ir.Graph, value: ir.Value, axis: int) -> _Site:
    """Follows the input through layout changes and padding to the Conv that consumes it alone."""
    site, site_axis, padded = value, axis, False
    while (node := _sole_consumer(graph, value)) is not None:
        if node.op_type == "Transpose" and not padded:
            axis = permutation(node).index(axis)
            value = node.outputs[0]
            site, site_axis = value, axis
        elif node.op_type == "Pad" and (kind := _padding(node, axis)) is not None:
            padded = padded or kind
            value = node.outputs[0]
        elif (
            node.op_type == "Conv"
            and axis == 1
            and all(value is None or constant(value) is not None for value in node.inputs[1:])
        ):
            return _Site(site, site_axis, node, padded or _pads(node))
        else:
            break
    return _Site(site, site_axis, None, padded)


def _sole_consumer(graph: ir.Graph, value: ir.Value) -> ir.Node | None:
    uses = value.uses()
    if len(uses) != 1 or value in graph.outputs:
        return None
    node, index = next(iter(uses))
    return node if index == 0 and node.domain in ("", "ai.onnx") and node.graph is graph else None


def _padding(node: ir.Node, channel_axis: int) -> bool | None:
    """Whether a Pad sets zeros (True) or repeats pixels (False); None where it is neither."""
    mode = node.attributes.get_string("mode", "constant")
    pads, filling = constant(input_at(node, 1)), input_at(node, 2)
    if pads is None or input_at(node, 3) is not None:
        return None
    amounts = pads.reshape(2, -1)
    if channel_axis >= amounts.shape[1] or amounts[:, channel_axis].any():
        return None
    if mode in ("reflect", "edge", "wrap"):
        return False
    return True if filling is None or scalar(filling) == 0 else None


def _pads(node: ir.Node) -> bool:
    """Whether a Conv puts zeros beside its input."""
    automatic = node.attributes.get_string("auto_pad", "NOTSET")
    if automatic in ("SAME_UPPER", "SAME_LOWER"):
        return not _same_needs_none(node)
    if automatic == "VALID":
        return False
    return any(ints_attribute(node, "pads") or ())


def _same_needs_none(node: ir.Node) -> bool:
    """Whether SAME padding comes to nothing: kernels of 1, or strides that fit."""
    weights, shape = constant(node.inputs[1]), static_shape(node.inputs[0])
    if weights is None or shape is None:
        return False
    return not any(same_padding(node, shape[2:], weights.shape[2:]))


def _weights(conv: ir.Node) -> tuple[Array, Array]:
    """Weights and bias of a Conv, float64; zeros where it has no bias."""
    weights, bias = constant(conv.inputs[1]), constant(input_at(conv, 2))
    assert weights is not None
    zeros = np.zeros(weights.shape[0])
    return weights.astype(np.float64), zeros if bias is None else bias.astype(np.float64)


def _set_weights(graph: ir.Graph, conv: ir.Node, weights: Array, bias: Array) -> None:
    """Gives a Conv its own new constants; others that used the old ones keep them."""
    old = constant(conv.inputs[1])
    assert old is not None
    kind = old.dtype
    had_bias = input_at(conv, 2) is not None
    new = [new_constant(graph, f"{conv.name}_weight_folded", weights.astype(kind))]
    if had_bias or bias.any():
        new.append(new_constant(graph, f"{conv.name}_bias_folded", bias.astype(kind)))
        conv.resize_inputs(3)
    for index, value in enumerate(new, start=1):
        conv.replace_input_with(index, value)


def _add_constant_channel(
    graph: ir.Graph, site: _Site, factor: Array, offset: Array, item: InputBoundary
) -> None:
    """Puts a 1x1 Conv that copies the pixels and adds a constant channel before the Conv.

    The constant is the largest value of the input's encoding: the new tensor has the input's own
    range, so that its quantization changes nothing.
    """
    conv = site.conv
    assert conv is not None
    assert item.scale is not None
    assert item.zero_point is not None
    level = (255 - item.zero_point) * item.scale or -item.zero_point * item.scale
    weights, bias = _weights(conv)
    spatial = (1,) * (weights.ndim - 2)
    carried = (weights * offset.reshape(1, -1, *spatial)).sum(axis=1, keepdims=True) / level
    scaled = weights * factor.reshape(1, -1, *spatial)
    _set_weights(graph, conv, np.concatenate([scaled, carried], axis=1), bias)

    channels = weights.shape[1]
    dtype = (site.value.dtype or ir.DataType.FLOAT).numpy()
    copy = np.eye(channels + 1, channels, dtype=dtype).reshape(channels + 1, channels, *spatial)
    add = np.zeros(channels + 1, dtype=dtype)
    add[-1] = level
    name = f"{item.name}_with_constant"
    parameters = (("weight", copy), ("bias", add))
    constants = [new_constant(graph, f"{name}_{what}", array) for what, array in parameters]
    inputs = [site.value, *constants]
    node = new_node(graph, "Conv", name, inputs, {"kernel_shape": list(spatial)})
    insert_before_uses(graph, site.value, [node])
    _grow_channels(node.outputs[0], site, channels + 1)


def _grow_channels(value: ir.Value, site: _Site, channels: int) -> None:
    """Sets the shape of the widened tensor and, through a Pad, of what follows to the Conv."""
    value.type, value.shape = site.value.type, site.value.shape
    while True:
        if value.shape is not None:
            dims = list(value.shape.dims)
            dims[1] = channels
            value.shape = ir.Shape(dims)
        node = next(iter(value.uses()))[0]
        if node is site.conv:
            return
        value = node.outputs[0]


def _insert_affine(graph: ir.Graph, site: _Site, factor: Array, offset: Array) -> None:
    value = site.value
    shape = [1] * (rank(value) or site.channel_axis + 1)
    shape[site.channel_axis] = -1
    dtype = (value.dtype or ir.DataType.FLOAT).numpy()
    nodes: list[ir.Node] = []
    source = value
    for op, operand, neutral in (("Mul", factor, 1), ("Add", offset, 0)):
        if np.all(operand == neutral):
            continue
        name = f"{value.name}_{'scaled' if op == 'Mul' else 'shifted'}"
        number = new_constant(graph, f"{name}_by", operand.reshape(shape).astype(dtype))
        node = new_node(graph, op, name, [source, number], {})
        source = node.outputs[0]
        source.type, source.shape = value.type, value.shape
        nodes.append(node)
    insert_before_uses(graph, value, nodes)
