"""Logits with masks: values added to them so that Softmax gives nothing.

A range that reached down to -10000 or -3e38 would leave no step for the logits themselves. As
`exp(-16)` is nothing at 16 bits, it is enough that masked values stay 16 below all others.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from snapq.operators import Family, Trait, having, in_families, spec
from snapq.quantization.calibration.observers.collector import Collector
from snapq.quantization.qdq.decisions import constant

__all__ = ["BELOW", "MASK_ALONE", "logits", "unmasked"]

_THROUGH = (*in_families(Family.ARITHMETIC), *having(Trait.MOVES))
BELOW = 16.0
"""How far below all others what is masked lies."""
MASK_ALONE = -1024.0
"""For a tensor that is a mask and nothing else: below any logits, with 0 held exactly."""


def logits(graph: ir.Graph) -> frozenset[str]:
    """Names of the tensors that come to a Softmax through sums, products and moves alone.

    Where minus infinity comes to an Exp so, as decays of linear attention are masked, all tensors
    count that it comes to.
    """
    softmax, exp = list[ir.Value | None](), list[ir.Value | None]()
    for node in graph:
        if spec(node.op_type).family is Family.SOFTMAX:
            softmax.append(node.inputs[0])
        elif node.op_type == "Exp":
            exp.append(node.inputs[0])
    found = _in_front(softmax)
    if exp:
        infinite = _behind_infinity(graph)
        found |= infinite if infinite & _in_front(exp) else set()
    return frozenset(str(value.name) for value in found)


def _in_front(values: Sequence[ir.Value | None]) -> set[ir.Value]:
    found, waiting = set[ir.Value](), list(values)
    while waiting:
        value = waiting.pop()
        if value is None or value in found:
            continue
        found.add(value)
        producer = value.producer()
        if producer is not None and producer.op_type in _THROUGH:
            waiting += producer.inputs
    return found


def _behind_infinity(graph: ir.Graph) -> set[ir.Value]:
    found = set[ir.Value]()
    for node in graph:
        if node.op_type in _THROUGH and any(
            value in found or _holds_infinity(value) for value in node.inputs if value is not None
        ):
            found.update(node.outputs)
    return found


def _holds_infinity(value: ir.Value) -> bool:
    tensor = constant(value)
    if tensor is None or not tensor.dtype.is_floating_point():
        return False
    return bool(np.any(tensor.numpy() == -np.inf))


def unmasked(seen: Collector) -> tuple[float, float] | None:
    """The range of logits with room below them for what is masked; None where nothing is."""
    limits = seen.unmasked()
    if limits is None:
        return None
    low, high = limits
    return (MASK_ALONE if low == high else low - BELOW), high
