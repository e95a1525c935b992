"""Computes attention over the places of a map head by head, with the channels last.

1. Where queries, keys and values are heads `[B, H, d, N]` that a Reshape takes out of the channels
   of a map `[B, C, …]`, with or without a Split behind it, and attention is
   `MatMul(v, Transpose(Softmax(MatMul(Transpose(q), k))))`, factors on the way included, a Split of
   the channels takes each head's part out of the map, each head gets its products, and a Concat of
   maps puts them together. Up to 8 heads.

YOLO10, 11 and 26 have it. Between maps and heads the NPU moves single elements in the given form.
Estimated in us on QCS9075 and SA8797P (QAIRT 2.51), two heads of 32 and 64 channels over 20 x 20
places with a Conv in front and one behind: fp16 482 and 302 against 204 and 111, w8a8 230 and 224
against 96 and 83, w8a16 458 and 294 against 196 and 88; over 40 x 40 places 2,641 and 1,011 in fp16
against 1,088 and 462. In whole networks one of the moves takes up to 1,400 us in fp16. At w8a16
the products have ranges of their own for each head, and 2 to 4 dB more (simulated).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import (
    Editor,
    constant,
    integers,
    is_op,
    permutation,
    producer,
    sole_producer,
)
from snapq.graph.passes.base import Result
from snapq.graph.shapes import Shape, static_shape

OPERATORS = ("MatMul",)

_MOST_HEADS = 8
_FACTORS = ("Mul", "Div")


@dataclass(frozen=True)
class _Heads:
    """An operand of a product: heads out of the channels of a map.

    Attributes:
        reshape: makes `[B, H, D, N]` of the map.
        sizes: of the parts that a Split makes of D.
        part: which of them this is.
        value: the part, `[B, H, d, N]`.
        turned: whether the operand is `[B, H, N, d]`.
        factors: what it is multiplied by or divided by, first to last.
    """

    reshape: ir.Node
    sizes: tuple[int, ...]
    part: int
    value: ir.Value
    turned: bool = False
    factors: tuple[tuple[str, np.ndarray], ...] = ()

    @property
    def channels(self) -> int:
        """Of one head."""
        return self.sizes[self.part]


@dataclass
class _Maps:
    """Each head's part of the channels, as a map, once for each Reshape."""

    edit: Editor
    made: dict[ir.Node, tuple[ir.Value, ...]] = field(default_factory=dict)

    def of(self, found: _Heads) -> list[ir.Value]:
        """The maps of an operand, one a head: `[B, d, …]`."""
        parts, heads = self.made.get(found.reshape), _shape(found.value)[1]
        if parts is None:
            self.edit.begin(found.reshape)
            sizes = found.sizes * heads
            parts = self.edit.ops(
                "Split",
                found.reshape.inputs[0],
                integers(*sizes),
                outputs=len(sizes),
                axis=1,
            )
            self.made[found.reshape] = parts
        return list(parts[found.part :: len(found.sizes)])


def apply(node: ir.Node, edit: Editor) -> Result:
    """Parts the attention whose product with the values this is."""
    values, weights, turned = _operands(node)
    if values is None or weights is None:
        return False
    softmax, scale, scores = _scores(weights)
    if softmax is None or scores is None:
        return False
    queries, keys = _heads(scores.inputs[0]), _heads(scores.inputs[1])
    if queries is None or keys is None or not queries.turned or keys.turned:
        return False
    shape, spatial = _shape(values.value), _shape(values.reshape.inputs[0])[2:]
    if not 2 <= shape[1] <= _MOST_HEADS or queries.channels != keys.channels:
        return False
    maps = _Maps(edit)
    parts = [maps.of(one) for one in (queries, keys, values)]
    edit.begin(node)
    mixed = []
    for query, key, value in zip(*parts, strict=True):
        inner = edit.op("MatMul", _rows(query, queries, edit), _columns(key, keys, edit))
        inner = edit.op("Softmax", _multiplied(inner, scale, edit), axis=-1)
        made = edit.op("MatMul", inner, _rows(value, values, edit))
        made = edit.op("Reshape", made, integers(shape[0], *spatial, values.channels))
        made = edit.op("Transpose", made, perm=(0, len(spatial) + 1, *range(1, len(spatial) + 1)))
        mixed.append(made)
    joined = edit.op("Concat", *mixed, axis=1)
    _replace_others(values, parts[2], node, edit)
    edit.begin(node)
    result = edit.op("Reshape", joined, integers(*shape))
    return edit.op("Transpose", result, perm=(0, 1, 3, 2)) if turned else result


def _operands(node: ir.Node) -> tuple[_Heads | None, ir.Value | None, bool]:
    """The values, the weights `[B, H, N, N]`, and whether they come first."""
    first, second = node.inputs
    values = _heads(first)
    if values is not None and not values.turned:
        swap = sole_producer(second, "Transpose")
        return values, swap.inputs[0] if swap is not None and _swaps(swap) else None, False
    values = _heads(second)
    return (values, first, True) if values is not None and values.turned else (None, None, False)


def _scores(
    weights: ir.Value,
) -> tuple[ir.Node | None, tuple[tuple[str, np.ndarray], ...], ir.Node | None]:
    """The Softmax, the factors in front of it, and the product that it reads."""
    softmax = sole_producer(weights, "Softmax")
    rank = len(_shape(weights))
    if softmax is None or softmax.attributes.get_int("axis", -1) not in (-1, rank - 1):
        return None, (), None
    value, factors = _without_factors(softmax.inputs[0])
    return softmax, factors, sole_producer(value, "MatMul")


def _heads(value: ir.Value | None) -> _Heads | None:
    """Where an operand `[B, H, …]` comes from; None where that is no map."""
    value, behind = _without_factors(value)
    swap = producer(value, "Transpose")
    turned = swap is not None and _swaps(swap)
    if swap is not None and turned:
        value, before = _without_factors(swap.inputs[0])
        behind = (*before, *behind)
    if value is None or len(_shape(value)) != 4:
        return None
    sizes: tuple[int, ...] = (_shape(value)[2],)
    part = 0
    whole: ir.Value | None = value
    split = producer(value, "Split")
    if split is not None:
        lengths = tuple(_shape(one)[2:3] for one in split.outputs)
        if split.attributes.get_int("axis", 0) not in (2, -2) or not all(lengths):
            return None
        sizes, part = tuple(one for (one,) in lengths), list(split.outputs).index(value)
        whole = split.inputs[0]
    reshape = producer(whole, "Reshape")
    if reshape is None or not _takes_heads_out(reshape):
        return None
    return _Heads(reshape, sizes, part, value, turned, behind)


def _takes_heads_out(reshape: ir.Node) -> bool:
    """Whether a Reshape parts the channels of a map, and joins its places."""
    given, made = _shape(reshape.inputs[0]), _shape(reshape.outputs[0])
    return (
        len(made) == 4
        and len(given) in (3, 4)
        and given[0] == made[0]
        and given[1] == made[1] * made[2]
        and prod(given[2:]) == made[3]
    )


def _without_factors(
    value: ir.Value | None,
) -> tuple[ir.Value | None, tuple[tuple[str, np.ndarray], ...]]:
    """What is multiplied by numbers, and the numbers."""
    factors: list[tuple[str, np.ndarray]] = []
    while (node := producer(value, *_FACTORS)) is not None:
        given = [constant(one) for one in node.inputs]
        number = given[1] if given[1] is not None or is_op(node, "Div") else given[0]
        if number is None or number.size != 1:
            break
        factors.insert(0, (node.op_type, number.reshape(())))
        value = node.inputs[0] if number is given[1] else node.inputs[1]
    return value, tuple(factors)


def _multiplied(
    value: ir.Value, factors: tuple[tuple[str, np.ndarray], ...], edit: Editor
) -> ir.Value:
    for op_type, number in factors:
        value = edit.op(op_type, value, number)
    return value


def _rows(value: ir.Value, found: _Heads, edit: Editor) -> ir.Value:
    """A head's map as `[B, N, d]`, with its factors."""
    batch, _, _, places = _shape(found.value)
    rank = len(_shape(found.reshape.inputs[0]))
    last = edit.op("Transpose", value, perm=(0, *range(2, rank), 1))
    rows = edit.op("Reshape", last, integers(batch, places, found.channels))
    return _multiplied(rows, found.factors, edit)


def _columns(value: ir.Value, found: _Heads, edit: Editor) -> ir.Value:
    """A head's map as `[B, d, N]`, with its factors."""
    batch, _, _, places = _shape(found.value)
    columns = edit.op("Reshape", value, integers(batch, found.channels, places))
    return _multiplied(columns, found.factors, edit)


def _replace_others(values: _Heads, parts: list[ir.Value], node: ir.Node, edit: Editor) -> None:
    """Gives what else reads the values, as a positional Conv, the maps put together."""
    readers = {use.node for use in values.value.uses()}
    if not any(is_op(one, "Reshape") for one in readers - {node}):
        return
    edit.begin(values.reshape)
    whole = edit.op("Concat", *parts, axis=1)
    edit.replace(values.value, edit.op("Reshape", whole, integers(*_shape(values.value))))


def _swaps(node: ir.Node) -> bool:
    """Whether a Transpose swaps the last two of four dimensions."""
    return permutation(node) == (0, 1, 3, 2)


def _shape(value: ir.Value | None) -> Shape:
    """The shape; empty where it is not known."""
    return static_shape(value) or ()
