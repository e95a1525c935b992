"""Cuts fractions off in front of a Cast where the NPU's compiler would not, and writes 64 bits.

1. `Cast(Cast(x, integer), float)` = `trunc(x)`: the compiler drops both, so that 7.65 stays 7.65,
   and makes 1 of it where the integer has 8 bits (simulator of QAIRT 2.51, fp16).
2. `Cast(Cast(x, integer), other integer)` = both of `trunc(x)`: the compiler rounds to the nearest.
   Changes of shape may stand between the two Casts.
3. `Cast(Cast(x, integer), bool)` = `Cast(trunc(x), bool)`: what is negative was false.
4. `Cast(x, int64)` that is an output = int32 of `trunc(x)`, then int64: the provider refuses it.

`trunc(x)` is `x` behind a Round, a Floor or a Ceil, `Floor(x)` where x is never negative, and
`Sign(x) Floor(|x|)` elsewhere.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, constant, input_at
from snapq.graph.passes.base import Result
from snapq.operators import Trait, having

OPERATORS = ("Cast",)

_WIDE = (ir.DataType.INT32, ir.DataType.INT64)
_INTEGERS = (*_WIDE, ir.DataType.UINT8, ir.DataType.INT8, ir.DataType.UINT16, ir.DataType.INT16)
_RESHAPES = ("Identity", *having(Trait.RESHAPES))
_ROUNDS = ("Round", "Floor", "Ceil")
_POSITIVE = ("Abs", "Relu", "Sigmoid", "Softmax", "Softplus", "Exp", "Sqrt", "HardSigmoid")
_MOVES = (*_RESHAPES, "Transpose")


def apply(node: ir.Node, edit: Editor) -> Result:
    """Cuts off what one Cast to integers is to cut off."""
    source, result = node.inputs[0], node.outputs[0]
    if source is None or source.dtype != ir.DataType.FLOAT or result.dtype not in _INTEGERS:
        return False
    readers = [one for one in result.consumers() if one.op_type == "Cast"]
    back = [one for one in readers if one.outputs[0].dtype == ir.DataType.FLOAT]
    truths = [one for one in readers if one.outputs[0].dtype == ir.DataType.BOOL]
    wide = result.dtype in _WIDE
    refused = result.is_graph_output() and result.dtype == ir.DataType.INT64
    behind = wide and not _is_whole(source) and _is_cast_behind(result)
    if not (back or truths or refused or behind):
        return False
    whole = _truncated(source, edit)
    for reader in back:
        edit.replace(reader.outputs[0], whole)
    for reader in truths:
        reader.replace_input_with(0, whole)
    if wide:
        narrow = edit.op("Cast", whole, to=ir.DataType.INT32.value) if refused else whole
        node.replace_input_with(0, narrow)
    edit.remove_if_dead(node)
    return True


def _is_cast_behind(value: ir.Value) -> bool:
    """Whether a Cast reads it, or what changes of shape make of it."""
    for node in value.consumers():
        if node.op_type == "Cast":
            return True
        if node.op_type in _RESHAPES and _is_cast_behind(node.outputs[0]):
            return True
    return False


def _truncated(value: ir.Value, edit: Editor) -> ir.Value:
    if _is_whole(value):
        return value
    if _is_positive(value):
        return edit.op("Floor", value)
    return edit.op("Mul", edit.op("Sign", value), edit.op("Floor", edit.op("Abs", value)))


def _is_whole(value: ir.Value) -> bool:
    node = value.producer()
    while node is not None:
        if node.op_type in _ROUNDS:
            return True
        if node.op_type == "Mul":
            return {one.op_type for one in map(_maker, node.inputs) if one} == {"Sign", "Floor"}
        if node.op_type not in (*_MOVES, "Relu") and not _has_whole_bounds(node):
            return False
        node = _maker(node.inputs[0])
    return False


def _is_positive(value: ir.Value) -> bool:
    node = value.producer()
    while node is not None and node.op_type in _MOVES:
        node = _maker(node.inputs[0])
    if node is None:
        return False
    low = constant(input_at(node, 1)) if node.op_type == "Clip" else None
    return node.op_type in _POSITIVE or (low is not None and bool((low >= 0).all()))


def _has_whole_bounds(node: ir.Node) -> bool:
    if node.op_type != "Clip":
        return False
    given = [one for one in (input_at(node, 1), input_at(node, 2)) if one is not None]
    bounds = [constant(one) for one in given]
    return all(bound is not None and bool((bound % 1 == 0).all()) for bound in bounds)


def _maker(value: ir.Value | None) -> ir.Node | None:
    return None if value is None else value.producer()
