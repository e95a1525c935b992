"""Writes reductions that the NPU lacks with those that it has.

1. `ReduceL1(x)` = `ReduceSum(|x|)`, `ReduceSumSquare(x)` = `ReduceSum(x x)`,
   `ReduceLogSum(x)` = `log(ReduceSum(x))`.
2. `ReduceProd(x)` = for each axis, the product of its halves, and so on until one element is left.
3. `GlobalLpPool(x, p)` = `ReduceL2` for p = 2, `ReduceSum(|x|)` for p = 1, over all spatial axes.
4. `LpNormalization(x, p=1)` = `x / ReduceSum(|x|)`; of p = 2 over the channels of an image = over
   the last axis of its Transpose: by Qualcomm's estimate for QCS9075, 64 channels of 56 x 56 take
   22 us so and 253 otherwise at 8 bits.
5. `CumSum` exclusively = `CumSum(x) - x`; backwards = with a flip in front and behind.
6. `ArgMax` and `ArgMin` that take the last of equals = counted from the end of the flipped input.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant_ints, input_at, integers, reduced_axes
from snapq.graph.passes.base import Result, Skipped
from snapq.graph.shapes import Shape, static_shape


def apply(node: ir.Node, edit: Editor) -> Result:
    """Writes one reduction with others."""
    shape = static_shape(node.inputs[0])
    source = node.inputs[0]
    if shape is None or source is None:
        return False
    result = _WRITERS[node.op_type](node, source, shape, edit)
    if result is None and node.op_type == "ReduceProd":
        return Skipped("its axes or its shape are not constant")
    return result


def _to_sum(node: ir.Node, source: ir.Value, shape: Shape, edit: Editor) -> ir.Value | None:
    axes = reduced_axes(node)
    if axes is None:
        return None
    if node.op_type == "ReduceL1":
        source = edit.op("Abs", source)
    elif node.op_type == "ReduceSumSquare":
        source = edit.op("Mul", source, source)
    if axes:
        keep = node.attributes.get_int("keepdims", 1)
        source = edit.op("ReduceSum", source, integers(*axes), keepdims=keep)
    return edit.op("Log", source) if node.op_type == "ReduceLogSum" else source


def _product(node: ir.Node, source: ir.Value, shape: Shape, edit: Editor) -> ir.Value | None:
    axes, result = reduced_axes(node), static_shape(node.outputs[0])
    if axes is None or result is None or 0 in shape:
        return None
    for axis in axes:
        size, rest = shape[axis], None
        while size > 1:
            half = size // 2
            first, second = (
                edit.op("Slice", source, integers(start), integers(start + half), integers(axis))
                for start in (0, half)
            )
            if size % 2:
                last = edit.op("Slice", source, integers(size - 1), integers(size), integers(axis))
                rest = last if rest is None else edit.op("Mul", rest, last)
            source, size = edit.op("Mul", first, second), half
        source = source if rest is None else edit.op("Mul", source, rest)
    return edit.op("Reshape", source, integers(*result))


def _global_pool(node: ir.Node, source: ir.Value, shape: Shape, edit: Editor) -> ir.Value | None:
    power = node.attributes.get_int("p", 2)
    axes = integers(*range(2, len(shape)))
    if power == 2:
        return edit.op("ReduceL2", source, axes, keepdims=1)
    if power == 1:
        return edit.op("ReduceSum", edit.op("Abs", source), axes, keepdims=1)
    return None


def _normalized(node: ir.Node, source: ir.Value, shape: Shape, edit: Editor) -> ir.Value | None:
    axis = node.attributes.get_int("axis", -1) % len(shape)
    if node.attributes.get_int("p", 2) == 1:
        total = edit.op("ReduceSum", edit.op("Abs", source), integers(axis), keepdims=1)
        return edit.op("Div", source, total)
    if (axis, len(shape)) != (1, 4):
        return None
    last = edit.op("Transpose", source, perm=[0, 2, 3, 1])
    normal = edit.op("LpNormalization", last, axis=3, p=2)
    return edit.op("Transpose", normal, perm=[0, 3, 1, 2])


def _summed_up(node: ir.Node, source: ir.Value, shape: Shape, edit: Editor) -> ir.Value | None:
    exclusive, reverse = (node.attributes.get_int(name, 0) for name in ("exclusive", "reverse"))
    position = constant_ints(input_at(node, 1))
    if position is None or not (exclusive or reverse):
        return None
    axis = position[0] % len(shape)
    flipped = flip(source, axis, edit) if reverse else source
    result = edit.op("CumSum", flipped, np.array(axis, np.int64))
    if exclusive:
        result = edit.op("Sub", result, flipped)
    return flip(result, axis, edit) if reverse else result


def _last_extreme(node: ir.Node, source: ir.Value, shape: Shape, edit: Editor) -> ir.Value | None:
    if not node.attributes.get_int("select_last_index", 0):
        return None
    axis = node.attributes.get_int("axis", 0) % (len(shape) or 1)
    keep = node.attributes.get_int("keepdims", 1)
    place = edit.op(node.op_type, flip(source, axis, edit), axis=axis, keepdims=keep)
    return edit.op("Sub", np.array(shape[axis] - 1, np.int64), place)


def flip(source: ir.Value, axis: int, edit: Editor) -> ir.Value:
    """The value with the order along `axis` turned round."""
    ends = integers(-(2**31) + 1)
    return edit.op("Slice", source, integers(-1), ends, integers(axis), integers(-1))


_WRITERS: dict[str, Callable[[ir.Node, ir.Value, Shape, Editor], ir.Value | None]] = {
    **dict.fromkeys(("ReduceL1", "ReduceSumSquare", "ReduceLogSum"), _to_sum),
    "ReduceProd": _product,
    "GlobalLpPool": _global_pool,
    "LpNormalization": _normalized,
    "CumSum": _summed_up,
    **dict.fromkeys(("ArgMax", "ArgMin"), _last_extreme),
}

OPERATORS = tuple(_WRITERS)
