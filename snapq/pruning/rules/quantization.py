"""QuantizeLinear and DequantizeLinear: scales and zero points of channels go with the channels."""

from __future__ import annotations

import onnx_ir as ir

from snapq.pruning.axes import Axes
from snapq.pruning.rules.base import Rule, other_axes, same, title


def _tie(node: ir.Node, axes: Axes) -> None:
    """1. Input and output are one.

    2. Per channel, scale and zero point `[C]` belong to `axis`.
    3. In blocks, the blocked axis stays: a block must be whole.
    """
    data = node.inputs[0]
    same(axes, data, node.outputs[0])
    axis = node.attributes.get_int("axis", 1)
    blocked = node.attributes.get_int("block_size", 0)
    for value in node.inputs[1:]:
        if not axes.knows(value):
            continue
        if axes.rank(value) == 1 and axes.size(value, 0) == axes.size(data, axis):
            axes.tie(axes.of(value, 0), axes.of(data, axis))
        elif axes.rank(value) == axes.rank(data) and blocked:
            other_axes(axes, value, data, axis % axes.rank(data))
    if blocked:
        axes.freeze(axes.of(data, axis), f"{title(node)} has one scale for a block of it")


RULES = dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), Rule(_tie))
