"""Attention with a product for each head in the place of one over all heads.

1. Where a Softmax along the last axis stands between two MatMuls of `[B, H, T, S]` (or `[H, T, S]`)
   with H heads, and between the MatMuls are only element-wise operators, each head gets MatMuls and
   operators of its own. Encodings stay what they are, so that every number does.
2. Where heads are taken out of `[T, H D]` channels by Reshape and Transpose, and put back so, these
   go: a Split of the channels takes them out, a Concat puts them back.

Estimated (QAIRT 2.51) on QCS9075 (v73), SA8797P (v81) and soc114 (v85), in us, of two layers with
12 heads of 32 channels and 128 tokens at w8a16: 187, 94, 138 together, 161, 85, 115 by head.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from math import prod

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, input_at, integers, is_op
from snapq.graph.head_moves import (
    moved_from,
    moves_behind,
    only_user,
    puts_heads_back,
    turn_of_heads,
)
from snapq.graph.shapes import Shape, static_shape
from snapq.npu.judged.codes import CODES, coded, codes_behind, dequantized, recoded
from snapq.npu.judged.copies import changed_copy
from snapq.operators import Trait, having

__all__ = ["apply", "sites"]

_MOST_HEADS = 16
_ELEMENTWISE = having(Trait.ELEMENTWISE)


@dataclass(frozen=True)
class _Attention:
    """One attention.

    Attributes:
        scores: the product of queries and keys.
        between: what follows it up to the second product, in order, with the index of the input
            that carries the scores.
        mixed: the product with the values.
        axis: of the heads, in the scores.
        shape: of the scores.
    """

    scores: ir.Node
    between: tuple[tuple[ir.Node, int], ...]
    mixed: ir.Node
    axis: int
    shape: Shape

    @property
    def heads(self) -> int:
        """How many there are."""
        return self.shape[self.axis]


def sites(model: ir.Model) -> tuple[str, ...]:
    """Names of the Softmaxes whose attention `apply` can change."""
    return tuple(
        str(node.name) for node in model.graph if is_op(node, "Softmax") and _attention(node)
    )


def apply(model: ir.Model, names: Collection[str]) -> ir.Model:
    """A copy in which the attentions of these Softmaxes have products for each head.

    Args:
        model: a float or a Q/DQ model with fixed shapes.
        names: out of `sites`; others are left as they are.
    """
    return changed_copy(model, names, _change)


def _change(node: ir.Node, edit: Editor) -> None:
    found = _attention(node) if is_op(node, "Softmax") else None
    if found is not None:
        _rewrite(found, edit)


def _attention(softmax: ir.Node) -> _Attention | None:
    """The attention around a Softmax; None where it is none that can be parted."""
    shape = static_shape(softmax.outputs[0])
    if shape is None or len(shape) not in (3, 4) or not 2 <= shape[-3] <= _MOST_HEADS:
        return None
    if softmax.attributes.get_int("axis", -1) % len(shape) != len(shape) - 1:
        return None
    between = [(softmax, 0)]
    while (carried := _carried(*between[0], shape)) is not None and not is_op(carried, "MatMul"):
        index = _carrying_input(carried, shape)
        if index is None:
            return None
        between.insert(0, (carried, index))
    if carried is None:
        return None
    user = only_user(softmax.outputs[0])
    while user is not None and user.op_type in CODES:
        between.append((user, 0))
        user = only_user(user.outputs[0])
    if user is None or not is_op(user, "MatMul") or user.inputs[0] is not between[-1][0].outputs[0]:
        return None
    found = _Attention(carried, tuple(between), user, len(shape) - 3, shape)
    operands = (*carried.inputs, user.inputs[1])
    ranks = {len(static_shape(value) or ()) for value in operands if value is not None}
    parts = all(_is_parted(value, found) for value in operands)
    sides = all(_side_fits(value, found) for value in _sides(found))
    return found if ranks == {len(shape)} and parts and sides else None


def _carried(node: ir.Node, index: int, shape: Shape) -> ir.Node | None:
    """What makes the scores that a node reads, where nothing else reads them."""
    value = node.inputs[index]
    maker = value.producer() if value is not None else None
    if value is None or maker is None or len(value.uses()) != 1 or value.is_graph_output():
        return None
    if static_shape(value) != shape or len(maker.outputs) != 1:
        return None
    known = (*CODES, *_ELEMENTWISE, "MatMul")
    return maker if maker.domain == "" and maker.op_type in known else None


def _carrying_input(node: ir.Node, shape: Shape) -> int | None:
    """The index of the input through which the scores come; None where that is not sure."""
    found = [
        index
        for index, value in enumerate(node.inputs)
        if value is not None and static_shape(value) == shape and _comes_from_product(value)
    ]
    return found[0] if len(found) == 1 else None


def _comes_from_product(value: ir.Value) -> bool:
    """Whether the first operator behind which a value stands is a product of two computed ones."""
    for _ in range(20):
        maker = value.producer()
        if maker is None:
            return False
        if is_op(maker, "MatMul"):
            return True
        if maker.op_type not in (*CODES, *_ELEMENTWISE):
            return False
        shape = static_shape(maker.outputs[0])
        inner = [one for one in maker.inputs if one is not None and static_shape(one) == shape]
        if not inner:
            return False
        computed = [one for one in inner if one.producer() is not None] or inner
        value = computed[0]
    return False


def _is_parted(value: ir.Value | None, found: _Attention) -> bool:
    """Whether an operand of a product has the heads on the axis where the scores have them."""
    shape = static_shape(value)
    return (
        shape is not None
        and len(shape) == len(found.shape)
        and shape[: found.axis + 1] == found.shape[: found.axis + 1]
        and (value is not None and value.producer() is not None)
    )


def _sides(found: _Attention) -> Iterator[ir.Value]:
    """What the operators between the products read beside the scores, but for encodings."""
    for node, carrying in found.between:
        if node.op_type not in CODES:
            for index, value in enumerate(node.inputs):
                if index != carrying and value is not None:
                    yield value


def _side_fits(value: ir.Value, found: _Attention) -> bool:
    """Whether what is beside the scores is the same for all heads, or has each head's own."""
    shape = static_shape(value)
    if shape is None:
        return False
    size = shape[-3] if len(shape) >= 3 else 1
    return size in (1, found.heads)


def _rewrite(found: _Attention, edit: Editor) -> None:
    """Parts one attention, in place."""
    edit.begin(found.scores)
    queries = _parts(found.scores.inputs[0], found, edit)
    keys = _parts(found.scores.inputs[1], found, edit)
    edit.begin(found.mixed)
    values = _parts(found.mixed.inputs[1], found, edit)
    sides = {value: _side(value, found, edit) for value in dict.fromkeys(_sides(found))}
    mixed = []
    for head in range(found.heads):
        inner = edit.op("MatMul", queries[head], keys[head])
        for node, carrying in found.between:
            inputs = [
                inner if index == carrying else sides[one][head] if one in sides else one
                for index, one in enumerate(node.inputs)
            ]
            inner = _copy(node, inputs, edit)
        mixed.append(edit.op("MatMul", inner, values[head]))
    _join(found, mixed, edit)


def _copy(node: ir.Node, inputs: list[ir.Value | None], edit: Editor) -> ir.Value:
    """A node like another one, with other inputs."""
    copied = edit.op(node.op_type, *inputs)
    maker = copied.producer()
    assert maker is not None
    for name, attribute in node.attributes.items():
        maker.attributes[name] = attribute
    maker.metadata_props.update(node.metadata_props)
    copied.type = node.outputs[0].type
    return copied


def _side(value: ir.Value, found: _Attention, edit: Editor) -> list[ir.Value]:
    """For each head what it reads beside the scores."""
    shape = static_shape(value)
    assert shape is not None
    if len(shape) < 3 or shape[-3] == 1:
        return [value] * found.heads
    return _split(value, len(shape) - 3, found.heads, edit)


def _split(value: ir.Value, axis: int, count: int, edit: Editor) -> list[ir.Value]:
    """Equal parts of a value, each with its encoding."""
    array, maker = constant(value), value.producer()
    if array is not None:
        return [edit.constant(one, f"{value.name}_head") for one in np.split(array, count, axis)]
    codes = constant(maker.inputs[0]) if maker is not None else None
    if maker is not None and codes is not None and "block_size" not in maker.attributes:
        scale = constant(input_at(maker, 1))
        if is_op(maker, "DequantizeLinear") and scale is not None and scale.size == 1:
            return [
                dequantized(edit.constant(one, f"{value.name}_head"), maker, edit)
                for one in np.split(codes, count, axis)
            ]
    parts = edit.ops("Split", value, outputs=count, axis=axis, num_outputs=count)
    for part in parts:
        part.type = value.type
    return [coded(part, value, edit) for part in parts]


def _parts(value: ir.Value | None, found: _Attention, edit: Editor) -> list[ir.Value]:
    """An operand of a product for each head, out of the channels where they are in order there."""
    assert value is not None
    shape, heads = static_shape(value), found.heads
    assert shape is not None
    source, moves = moved_from(value)
    channels = static_shape(source)
    if moves and channels is not None and prod(shape[: found.axis]) == 1:
        turned = turn_of_heads(moves, channels, shape, heads)
        if turned is not None:
            whole = source
            for move in moves:
                if move.op_type == "DequantizeLinear":
                    whole = recoded(whole, move, edit)
            rows = [1] * (len(shape) - 2) + [prod(shape) // channels[-1], channels[-1]]
            if list(channels) != rows:
                whole = coded(edit.op("Reshape", whole, integers(*rows)), whole, edit)
            parts = _split(whole, len(shape) - 1, heads, edit)
            if not turned:
                return parts
            last = [*range(len(shape) - 2), len(shape) - 1, len(shape) - 2]
            return [coded(edit.op("Transpose", one, perm=last), whole, edit) for one in parts]
    return _split(value, found.axis, heads, edit)


def _join(found: _Attention, mixed: list[ir.Value], edit: Editor) -> None:
    """Puts the heads' results in the place of what was made of them together."""
    old = found.mixed.outputs[0]
    shape = static_shape(old)
    assert shape is not None
    moves, end = moves_behind(old), old
    codes = codes_behind(old)
    parts = [one if codes is None else coded(one, codes, edit) for one in mixed]
    if moves and prod(shape[: found.axis]) == 1 and puts_heads_back(moves, shape):
        end = moves[-1].outputs[0]
        whole = edit.op("Concat", *parts, axis=len(shape) - 1)
        behind = [move for move in moves if move.op_type == "DequantizeLinear"]
        whole = coded(whole, codes, edit) if codes is not None else whole
        for move in behind:
            whole = recoded(whole, move, edit)
        shaped = edit.op("Reshape", whole, integers(*(static_shape(end) or ())))
        edit.replace(end, shaped)
    else:
        edit.replace(old, edit.op("Concat", *parts, axis=found.axis))
    edit.remove_if_dead(moves[-1] if end is not old else found.mixed)
