"""Masks: values added to logits so that Softmax gives nothing, and the ranges that keep them so.

A range that reached down to -10000 or -3e38 would leave no step for the logits themselves. As
`exp(-16)` is nothing at 16 bits, it is enough that masked values stay 16 below all others.

The NPU adds two integers at one shift: beside a mask of -32768, logits of -3 to 3 lose 19 of 256
steps at 8 bits and 744 of 65536 at 16 (simulator of QAIRT 2.51). So a constant summand is held no
further than where the sum saturates whatever the other summand is.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.quantization.encodings import Encoding
from snapq.quantization.observers.collector import Collector

__all__ = ["logits", "unmasked", "unsaturated"]

_THROUGH = frozenset(
    {
        *("Add", "Sub", "Mul", "Div", "Where", "Max", "Min", "Concat", "Slice", "Expand"),
        *("Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose"),
    }
)
_BELOW = 16.0
_MASK_ALONE = -1024.0
"""For a tensor that is a mask and nothing else: below any logits, with 0 held exactly."""


def logits(graph: ir.Graph) -> frozenset[str]:
    """Names of the tensors that come to a Softmax through sums, products and moves alone."""
    found: set[str] = set()
    waiting = [node.inputs[0] for node in graph if node.op_type in ("Softmax", "LogSoftmax")]
    while waiting:
        value = waiting.pop()
        if value is None or str(value.name) in found:
            continue
        found.add(str(value.name))
        producer = value.producer()
        if producer is not None and producer.op_type in _THROUGH:
            waiting += producer.inputs
    return frozenset(found)


def unmasked(seen: Collector) -> tuple[float, float] | None:
    """The range of logits with room below them for what is masked; None where nothing is."""
    limits = seen.unmasked()
    if limits is None:
        return None
    low, high = limits
    return (_MASK_ALONE if low == high else low - _BELOW), high


def unsaturated(
    node: ir.Node, index: int, other: Encoding, result: Encoding
) -> tuple[float, float] | None:
    """Where the constant summand at `index` of an Add or Sub decides about the result.

    Outside, the result is at its smallest or largest value whatever the other operand is.

    Args:
        node: any node.
        index: of the constant.
        other: encoding of the other operand, with one scale.
        result: encoding of the result, with one scale.

    Returns:
        The limits; None for other operators.
    """
    if node.op_type not in ("Add", "Sub"):
        return None
    low, high = float(result.minimum), float(result.maximum)
    least, most = float(other.minimum), float(other.maximum)
    if node.op_type == "Add":
        return low - most, high - least
    return (low + least, high + most) if index == 0 else (least - high, most - low)
