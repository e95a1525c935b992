"""Removes operators that give back what they take.

1. `Identity(x)`, `Dropout(x)` at inference, `Cast` to the type that x has.
2. `Reshape`, `Flatten`, `Squeeze`, `Unsqueeze`, `Expand`, `Tile`, `Slice`, `Resize` and `Pad` with
   a result of the shape of x, where the shapes are known; for Slice and Resize, only with steps and
   scales of one.
3. `Transpose` whose permutation leaves every dimension in its place.
4. `Concat`, `Sum`, `Mean`, `Max` and `Min` of one input; `Split` in one part.
5. `x + 0`, `x - 0`, `x * 1`, `x / 1` and `x ** 1` with a constant that does not widen the shape.
6. `Clip` without finite bounds.
7. `Gather` of all elements of an axis in their order.

A result that is an output of the graph, of a value that cannot take its name, stays an Identity.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import (
    Editor,
    can_rename,
    constant,
    constant_ints,
    input_at,
    ints_attribute,
    same_shape,
)
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape
from snapq.operators import Trait, having, spec

_RESHAPES = (*having(Trait.RESHAPES), "Expand", "Tile")
_OF_ONE = (*having(Trait.VARIADIC), "Split")
_NEUTRAL = {"Add": 0.0, "Sub": 0.0, "Mul": 1.0, "Div": 1.0, "Pow": 1.0}

OPERATORS = (
    *("Identity", "Dropout", "Cast", "Slice", "Resize", "Pad", "Transpose", "Clip", "Gather"),
    *_RESHAPES,
    *_OF_ONE,
    *_NEUTRAL,
)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Puts the input in the place of the output where they are equal."""
    source = _unchanged(node)
    result = node.outputs[0]
    if source is None or any(output.uses() for output in node.outputs[1:]):
        return False
    if result.is_graph_output() and not can_rename(source) and node.op_type == "Identity":
        return False
    edit.replace(result, source)
    return True


def _unchanged(node: ir.Node) -> ir.Value | None:
    """The input that the first output equals, or None."""
    source = node.inputs[0] if node.inputs else None
    if source is None:
        return None
    result = node.outputs[0]
    kind = node.op_type
    if kind in _NEUTRAL:
        return _neutral(node)
    if kind in _OF_ONE:
        return source if len(node.inputs) == 1 and len(node.outputs) == 1 else None
    holds = (
        kind == "Identity"
        or (kind == "Dropout" and not _is_training(node))
        or (kind == "Cast" and source.dtype is not None and source.dtype == result.dtype)
        or (kind in _RESHAPES and same_shape(source, result))
        or (kind == "Slice" and same_shape(source, result) and _steps_are_one(node))
        or (kind == "Resize" and same_shape(source, result) and _is_unscaled(node))
        or (kind == "Pad" and not any(constant_ints(input_at(node, 1)) or (1,)))
        or (kind == "Transpose" and _keeps_order(node))
        or (kind == "Clip" and _is_unbounded(node))
        or (kind == "Gather" and same_shape(source, result) and _takes_all(node))
    )
    return source if holds else None


def _is_training(node: ir.Node) -> bool:
    mode = input_at(node, 2)
    array = constant(mode)
    return mode is not None and (array is None or bool(array))


def _steps_are_one(node: ir.Node) -> bool:
    steps = input_at(node, 4)
    return steps is None or set(constant_ints(steps) or (0,)) == {1}


def _is_unscaled(node: ir.Node) -> bool:
    """Equal shapes by a scale of 1.02 move the samples; by sizes or a scale of 1 they do not."""
    scales = input_at(node, 2)
    array = constant(scales)
    roi = node.attributes.get("coordinate_transformation_mode")
    if roi is not None and roi.as_string() == "tf_crop_and_resize":
        return False
    return scales is None or array is None or array.size == 0 or bool(np.all(array == 1))


def _keeps_order(node: ir.Node) -> bool:
    permutation = ints_attribute(node, "perm")
    return permutation is not None and list(permutation) == sorted(permutation)


def _is_unbounded(node: ir.Node) -> bool:
    bounds = ((input_at(node, 1), -np.inf), (input_at(node, 2), np.inf))
    return all(
        bound is None or ((array := constant(bound)) is not None and bool(np.all(array == limit)))
        for bound, limit in bounds
    )


def _takes_all(node: ir.Node) -> bool:
    places = constant(node.inputs[1])
    return places is not None and np.array_equal(places, np.arange(places.size))


def _neutral(node: ir.Node) -> ir.Value | None:
    wanted = _NEUTRAL[node.op_type]
    for index in (1, 0) if spec(node.op_type).has(Trait.COMMUTATIVE) else (1,):
        array = constant(node.inputs[index])
        other = node.inputs[1 - index]
        if (
            array is not None
            and other is not None
            and array.size <= 4096
            and bool(np.all(array == wanted))
            and static_shape(other) is not None
            and same_shape(other, node.outputs[0])
        ):
            return other
    return None
