"""Merges a Pad into the Conv or pooling behind it.

1. `Conv(Pad(x, 0))` takes over the padding of the spatial dimensions, where none is negative.
2. `AveragePool(Pad(x, 0))` does so where it has no padding of its own or counts it, and then
   counts the padding.
3. `MaxPool(Pad(x, v))` does so where v is the lowest number, or 0 and x is never below 0.
4. A padding as large as the window stays: poolings do not take it. So does one in front of an
   AveragePool whose windows lie side by side, or that pools a volume: see `legalize_pools`.
"""

from __future__ import annotations

from operator import ge

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import (
    Editor,
    constant,
    input_at,
    ints_attribute,
    pad_widths,
    producer,
    rank,
    scalar,
)
from snapq.graph.passes.base import Result, Skipped
from snapq.operators import Trait, having

OPERATORS = ("Conv", "AveragePool", "MaxPool")


def apply(node: ir.Node, edit: Editor) -> Result:
    """Moves the padding in front of one node into it."""
    pad = producer(node.inputs[0], "Pad")
    if pad is None or node.attributes.get_string("auto_pad", "NOTSET") != "NOTSET":
        return False
    added = _spatial_padding(pad)
    if added is None:
        return False
    if not _may_take(node, pad):
        return Skipped("it would pad with other numbers, or divide by another count")
    own = ints_attribute(node, "pads") or (0,) * len(added)
    pads = [one + two for one, two in zip(own, added, strict=True)]
    kernel = ints_attribute(node, "kernel_shape") or ()
    if node.op_type != "Conv" and any(map(ge, pads, (*kernel, *kernel))):
        return Skipped("the padding is as large as the window")
    if node.op_type == "AveragePool":
        node.attributes["count_include_pad"] = ir.AttrInt64("count_include_pad", 1)
    node.attributes["pads"] = ir.AttrInt64s("pads", pads)
    node.replace_input_with(0, pad.inputs[0])
    edit.remove_if_dead(pad)
    return True


def _spatial_padding(pad: ir.Node) -> tuple[int, ...] | None:
    """Padding before and after each spatial dimension; None where others are padded."""
    dims = rank(pad.inputs[0])
    if pad.attributes.get_string("mode", "constant") != "constant" or dims is None or dims < 3:
        return None
    widths = pad_widths(pad, dims)
    if widths is None or min(map(min, widths)) < 0 or any(map(any, widths[:2])):
        return None
    return (*(before for before, _ in widths[2:]), *(after for _, after in widths[2:]))


def _may_take(node: ir.Node, pad: ir.Node) -> bool:
    filling = input_at(pad, 2)
    number = 0.0 if filling is None else scalar(filling)
    if node.op_type == "MaxPool":
        lowest = number is not None and number <= float(np.finfo(np.float32).min)
        zero = number == 0 and _is_not_negative(pad.inputs[0])
        return len(node.outputs) == 1 and (lowest or zero)
    if number != 0:
        return False
    if node.op_type == "AveragePool":
        own = any(ints_attribute(node, "pads") or ())
        counted = node.attributes.get_int("count_include_pad", 0) == 1
        kernel = ints_attribute(node, "kernel_shape") or ()
        if kernel == ints_attribute(node, "strides") or len(kernel) > 2:
            return False
        return (not own or counted) and not node.attributes.get_int("ceil_mode", 0)
    return True


def _is_not_negative(value: ir.Value | None) -> bool:
    if producer(value, *having(Trait.NOT_NEGATIVE)) is not None:
        return True
    clip = producer(value, "Clip")
    lower = constant(input_at(clip, 1)) if clip is not None else None
    return lower is not None and bool(lower >= 0)
