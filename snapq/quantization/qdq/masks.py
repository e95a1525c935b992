"""Masks: values added to logits so that Softmax gives nothing, and the ranges that keep them so.

A range that reached down to -10000 or -3e38 would leave no step for the logits themselves. As
`exp(-16)` is nothing at 16 bits, it is enough that masked values stay 16 below all others.

The NPU adds two integers at one shift: beside a mask of -32768, logits of -3 to 3 lose 19 of 256
steps at 8 bits and 744 of 65536 at 16 (simulator of QAIRT 2.51). So a constant summand is held no
further than where the sum saturates whatever the other summand is.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from snapq.graph.shapes import static_shape
from snapq.operators import Family, Trait, having, in_families
from snapq.quantization.calibration.observers.collector import Collector
from snapq.quantization.encodings import Encoding
from snapq.quantization.qdq.decisions import constant

__all__ = ["logits", "masked_sums", "unmasked", "unsaturated"]

_THROUGH = (*in_families(Family.ARITHMETIC), *having(Trait.MOVES))
_RESHAPES = ("Identity", *having(Trait.RESHAPES))
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


def masked_sums(
    graph: ir.Graph, range_of: Callable[[ir.Value], tuple[float, float] | None]
) -> dict[ir.Value, float]:
    """How far down logits with a constant mask matter, a mask as small as Swin's -100 too.

    In `Softmax(x + mask)` each row holds a sum of at least the smallest x and the row's largest
    value of the mask; what is 16 below the least of them is nothing, whatever the row.

    Args:
        graph: the graph.
        range_of: the range of a computed tensor, where known.

    Returns:
        The limit by sum, and by each tensor that a change of shape makes of it.
    """
    found: dict[ir.Value, float] = {}
    for node in graph:
        if node.op_type != "Softmax":
            continue
        chain = [node.inputs[0]]
        while chain[-1] is not None and _only_reshaped(chain[-1]):
            chain.append(chain[-1].producer().inputs[0])  # type: ignore[union-attr]
        values = [value for value in chain if value is not None]
        limit = _limit(values[-1], range_of) if values and _rows_stay(node, values) else None
        if limit is not None and all(len(value.uses()) == 1 for value in values):
            found |= dict.fromkeys(values, limit)
    return found


def _only_reshaped(value: ir.Value) -> bool:
    producer = value.producer()
    return producer is not None and producer.op_type in _RESHAPES


def _rows_stay(softmax: ir.Node, values: list[ir.Value]) -> bool:
    """Whether the rows of a Softmax lie along the last dimension of all of these."""
    shapes = [static_shape(value) for value in values]
    axis = softmax.attributes.get_int("axis", -1)
    known = [shape for shape in shapes if shape]
    last = axis == -1 or (bool(known) and axis == len(known[0]) - 1)
    return last and len(known) == len(shapes) and len({shape[-1] for shape in known}) == 1


def _limit(
    total: ir.Value, range_of: Callable[[ir.Value], tuple[float, float] | None]
) -> float | None:
    node = total.producer()
    if node is None or node.op_type != "Add":
        return None
    for value, other in (node.inputs, tuple(reversed(node.inputs))):
        tensor = constant(value)
        limits = range_of(other) if tensor is not None and other is not None else None
        if tensor is None or limits is None:
            continue
        mask = np.asarray(tensor.numpy(), np.float64)
        if mask.ndim and mask.size:
            return limits[0] + float(mask.max(axis=-1).min()) - _BELOW
    return None


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
