"""Logits with masks: values added to them so that Softmax gives nothing.

A range that reached down to -10000 or -3e38 would leave no step for the logits themselves. As
`exp(-16)` is nothing at 16 bits, it is enough that masked values stay 16 below all others.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.operators import Family, Trait, having, in_families, spec
from snapq.quantization.calibration.observers.collector import Collector

__all__ = ["BELOW", "MASK_ALONE", "logits", "unmasked"]

_THROUGH = (*in_families(Family.ARITHMETIC), *having(Trait.MOVES))
BELOW = 16.0
"""How far below all others what is masked lies."""
MASK_ALONE = -1024.0
"""For a tensor that is a mask and nothing else: below any logits, with 0 held exactly."""


def logits(graph: ir.Graph) -> frozenset[str]:
    """Names of the tensors that come to a Softmax through sums, products and moves alone."""
    found: set[str] = set()
    waiting = [node.inputs[0] for node in graph if spec(node.op_type).family is Family.SOFTMAX]
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
    return (MASK_ALONE if low == high else low - BELOW), high
