"""Gives logits room for masks that no calibration sample had set.

A text encoder that was calibrated on texts of full length has seen its mask do nothing. With the
ranges of that, padding is not masked at all: MiniLM-L6 at w8a16 has 28 dB on texts of full length,
and 1.6 dB on short ones.

1. A mask is a summand of logits, or a choice of a Where in their place, that moves and arithmetic
   alone make of constants, truth values, integers and numbers from 0 to 1, all taken as 0 or 1, and
   whose least value is -1000 or less.
2. What it is made of holds all that it may be; what comes of it has room below all that was seen.
3. Where samples had it set, nothing changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product
from operator import add, mul, sub

import numpy as np
import onnx_ir as ir

from snapq.operators import Trait, having
from snapq.quantization.calibration.observers.collector import Collector
from snapq.quantization.notes import Note, NoteKind
from snapq.quantization.qdq.decisions import constant
from snapq.quantization.qdq.groups import Range
from snapq.quantization.qdq.logits import BELOW, MASK_ALONE, logits, unmasked
from snapq.quantization.qdq.plan import QdqPlan

__all__ = ["expect_masks"]

_FAR = -1000.0
_BIT = (0.0, 1.0)
_CALCULATED = {"Add": add, "Sub": sub, "Mul": mul}
_THROUGH = ("Cast", "Identity", "Expand", *having(Trait.MOVES))


def expect_masks(plan: QdqPlan) -> QdqPlan:
    """Widens the ranges of masks that were never set, and of the logits behind them."""
    possible = _Possible(plan.seen)
    found, masks = dict[ir.Value, Range](), list[ir.Value]()
    behind, region = set[ir.Value](), logits(plan.graph)
    for node in plan.graph:
        out = node.outputs[0]
        seen = plan.seen.get(str(out.name))
        if str(out.name) not in region or out not in plan.ranges or seen is None:
            continue
        if not _was_unset(seen):
            continue
        own = [value for value in _masks(node) if possible.is_mask(value)]
        if own or behind.intersection(value for value in node.inputs if value is not None):
            masks += own
            behind.add(out)
            low, high = plan.ranges[out]
            found[out] = min(low, seen.minimum - BELOW), high
    for value in _made_of(masks):
        seen, limits = plan.seen.get(str(value.name)), possible(value)
        if value in plan.ranges and limits is not None and (seen is None or _was_unset(seen)):
            low, high = plan.ranges[value]
            found[value] = min(low, max(limits[0], MASK_ALONE)), max(high, limits[1])
    if not found:
        return plan
    text = (
        "No calibration sample has set the mask of its attention, of which nothing is known "
        "therefore: logits have room for it. Give samples with padding too."
    )
    names = tuple(dict.fromkeys(str(value.producer().name) for value in behind))  # type: ignore[union-attr]
    note = Note(NoteKind.ADVICE, names, text)
    return replace(plan, ranges={**plan.ranges, **found}, notes=(*plan.notes, note))


def _was_unset(seen: Collector) -> bool:
    return not seen.empty and unmasked(seen) is None and seen.minimum > _FAR


def _masks(node: ir.Node) -> Iterator[ir.Value]:
    """The inputs of a node that may be masks of its logits."""
    if node.op_type == "Where":
        yield from (value for value in node.inputs[1:] if value is not None)
    elif node.op_type == "Add":  # constant summands were there for all samples
        yield from (v for v in node.inputs if v is not None and constant(v) is None)


def _made_of(values: list[ir.Value]) -> set[ir.Value]:
    """The values, and all that they are made of."""
    found, left = set[ir.Value](), list(values)
    while left:
        value = left.pop()
        if value not in found:
            found.add(value)
            producer = value.producer()
            left += [one for one in (producer.inputs if producer else ()) if one is not None]
    return found


class _Possible:
    """What a tensor may hold where all that is fed is 0 or 1; None where that says nothing."""

    def __init__(self, seen: Mapping[str, Collector]) -> None:
        self._seen = seen
        self._known: dict[ir.Value, Range | None] = {}

    def is_mask(self, value: ir.Value) -> bool:
        """Whether a tensor may hold numbers far below all logits, and none above 0 by much."""
        limits = self(value)
        return limits is not None and limits[0] <= _FAR and limits[1] <= 1

    def __call__(self, value: ir.Value | None) -> Range | None:
        if value is None:
            return None
        if value not in self._known:
            self._known[value] = None
            self._known[value] = self._found(value)
        return self._known[value]

    def _found(self, value: ir.Value) -> Range | None:
        tensor, node = constant(value), value.producer()
        if tensor is not None:
            array = np.asarray(tensor.numpy())
            return (float(array.min()), float(array.max())) if array.size else None
        if value.dtype is ir.DataType.BOOL:
            return _BIT
        if node is None:
            seen = self._seen.get(str(value.name))
            whole = value.dtype is not None and value.dtype.is_integer()
            bits = seen is not None and not seen.empty and 0 <= seen.minimum <= seen.maximum <= 1
            return _BIT if whole or bits else None
        if node.op_type in _THROUGH:
            return self(node.inputs[0])
        if node.op_type == "Where":
            ends = [end for one in node.inputs[1:] for end in self(one) or (np.nan,)]
            return None if np.isnan(ends).any() else (min(ends), max(ends))
        if node.op_type in _CALCULATED:
            left, right = (self(one) for one in node.inputs)
            if left is None or right is None:
                return None
            found = [_CALCULATED[node.op_type](a, b) for a, b in product(left, right)]
            return min(found), max(found)
        return None
