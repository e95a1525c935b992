"""Which axis of a constant holds the output channels of the operator that reads it."""

from __future__ import annotations

import onnx_ir as ir

from snapq.operators import Role, quantized
from snapq.quantization.qdq.parameters import weight_axis

__all__ = ["channel_axis"]


def channel_axis(value: ir.Value | None) -> int | None:
    """The channel axis of a weight, of 0 for a constant of one dimension; None where none is."""
    if value is None or value.shape is None:
        return None
    rank = value.shape.rank()
    for node, index in value.uses():
        rule = quantized(node)
        if rule is not None and rule.role(index) is Role.WEIGHT:
            return weight_axis(node, rank)
    return 0 if rank == 1 else None
