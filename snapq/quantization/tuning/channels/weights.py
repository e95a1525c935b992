"""Where the channels are in the weight of a layer."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.operators import weight_axes
from snapq.quantization.encodings import Floats
from snapq.quantization.qdq.decisions import array

__all__ = ["by_channel", "group", "is_depthwise", "layer_weight", "sink_axis", "source_axis"]


def is_depthwise(node: ir.Node) -> bool:
    """Whether a node is a Conv with one filter for each channel."""
    return node.op_type == "Conv" and group(node) > 1


def by_channel(node: ir.Node) -> Floats:
    """The weight of a sink as `[O, C, taps]`; `[1, C, taps]` of a depthwise Conv."""
    weight = layer_weight(node)
    if is_depthwise(node):
        return weight.reshape(1, weight.shape[0], -1)
    moved = np.moveaxis(weight, sink_axis(node), 1)
    return moved.reshape(*moved.shape[:2], -1)


def sink_axis(node: ir.Node) -> int:
    """The axis of the input channels in a sink's weight."""
    return _axes(node)[1]


def source_axis(node: ir.Node) -> int:
    """The axis of the output channels in a source's weight, or in a normalization's scale."""
    return _axes(node)[0]


def _axes(node: ir.Node) -> tuple[int, int]:
    return weight_axes(node, layer_weight(node).ndim) or (0, 0)


def group(node: ir.Node) -> int:
    """Into how many groups of channels a convolution is divided."""
    return node.attributes.get_int("group", 1)


def layer_weight(node: ir.Node) -> Floats:
    """The weight of a layer as ONNX has it."""
    value = node.inputs[1]
    assert value is not None
    return array(value)
