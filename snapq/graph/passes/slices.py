"""What a Slice takes of its input."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from snapq.graph.edit import constant_ints, ints_input

__all__ = ["taken"]


def taken(node: ir.Node, places: Sequence[range]) -> list[range] | None:
    """The places along each axis that a Slice takes; None where they are computed.

    Args:
        node: a Slice, opset 10 or later.
        places: along each axis of its input, of some larger tensor.
    """
    starts, ends = constant_ints(node.inputs[1]), constant_ints(node.inputs[2])
    if starts is None or ends is None:
        return None
    axes = ints_input(node, 3, tuple(range(len(starts))))
    steps = ints_input(node, 4, (1,) * len(starts))
    if axes is None or steps is None:
        return None
    found = list(places)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        found[axis] = found[axis][_slice(len(found[axis]), start, end, step)]
    return found


def _slice(size: int, start: int, end: int, step: int) -> slice:
    """As Python has it: ONNX has no None, so that what goes backwards ends below -size."""
    return slice(start, None if step < 0 and end < -size else end, step)
