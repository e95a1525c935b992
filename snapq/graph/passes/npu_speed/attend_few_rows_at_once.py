"""Computes attention between a few rows and many without parting the many by heads.

1. Where a Reshape puts the heads of attention together, H of them over few queries `[n, H D]` and
   many keys and values `[N, H D]`, the queries are written once for each head, with zeros in the
   channels of all others: `[H n, H D]`. One product gives all scores, and one all results, of which
   each head keeps its own channels.
2. Over many queries and few keys, each head's scores are the product of all channels with its keys,
   zeros in the channels of others, and its values have zeros there too: one product of all heads'
   weights and values is the sum of what the heads give.

A few rows are up to 16, and at most a sixteenth of the many. Decoders of masks (SAM) have both. To
part the many by heads moves each element. Estimated in us on QCS9075 and SA8797P (QAIRT 2.51), with
the layers around, 9 rows and 4,096, 8 heads of 16 channels: few queries in fp16 788 and 322 against
520 and 320, at w8a8 437 and 284 against 269 and 152; few keys in fp16 1,078 and 645 against 848 and
416, at w8a8 393 and 275 against 256 and 221.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, integers, is_op, producer, sole_producer
from snapq.graph.head_moves import MOVES, moved_from, puts_heads_back, turn_of_heads
from snapq.graph.passes.base import Result
from snapq.graph.shapes import Shape, static_shape

OPERATORS = ("Reshape",)

_FEW, _MORE = 16, 16
_MOST_ROWS = 128
"""Of all heads."""
_MOST_HEADS = 16
_FACTORS = ("Mul", "Div")


@dataclass(frozen=True)
class _Attention:
    """One attention of H heads of D channels.

    Attributes:
        queries: `[n, H D]`, or with ones in front.
        keys: `[N, H D]` likewise.
        values: `[N, H D]` likewise.
        factors: what stands between the scores and the Softmax, first to last.
        shape: of the scores, `[H, n, N]`.
        channels: H D.
    """

    queries: ir.Value
    keys: ir.Value
    values: ir.Value
    factors: tuple[ir.Node, ...]
    shape: Shape
    channels: int

    @property
    def own(self) -> np.ndarray:
        """Ones in the channels of each head: `[H, H D]`."""
        heads = self.shape[0]
        return np.kron(np.eye(heads), np.ones((1, self.channels // heads))).astype(np.float32)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Writes the attention whose heads a Reshape puts together."""
    found, made = _attention(node), static_shape(node.outputs[0])
    if found is None or made is None:
        return False
    heads, queries, keys = found.shape
    few, many = min(queries, keys), max(queries, keys)
    if few > _FEW or many < few * _MORE or heads * few > _MOST_ROWS:
        return False
    result = _few_queries(found, edit) if queries == few else _few_keys(found, edit)
    return edit.op("Reshape", result, integers(*made))


def _few_queries(found: _Attention, edit: Editor) -> ir.Value:
    """Rule 1, `[n, H D]`."""
    heads, queries, keys = found.shape
    own = found.own[:, None]
    rows = edit.op("Reshape", found.queries, integers(1, queries, found.channels))
    rows = edit.op("Mul", rows, own)
    rows = edit.op("Reshape", rows, integers(heads * queries, found.channels))
    columns = edit.op("Transpose", rows, perm=(1, 0))
    scores = edit.op("MatMul", _rows(found.keys, keys, found, edit), columns)
    weights = _weights(edit.op("Transpose", scores, perm=(1, 0)), found, edit)
    mixed = edit.op("MatMul", weights, _rows(found.values, keys, found, edit))
    mixed = edit.op("Reshape", mixed, integers(heads, queries, found.channels))
    return edit.op("ReduceSum", edit.op("Mul", mixed, own), integers(0), keepdims=0)


def _few_keys(found: _Attention, edit: Editor) -> ir.Value:
    """Rule 2, `[n, H D]`."""
    _, queries, keys = found.shape
    rows = _rows(found.queries, queries, found, edit)
    columns = edit.op("Transpose", _rows(found.keys, keys, found, edit), perm=(1, 0))
    values = _rows(found.values, keys, found, edit)
    weights, parts = [], []
    for own in found.own:
        scores = edit.op("MatMul", rows, edit.op("Mul", columns, own[:, None]))
        weights.append(_weights(scores, found, edit))
        parts.append(edit.op("Mul", values, own))
    joined = edit.op("Concat", *weights, axis=1)
    return edit.op("MatMul", joined, edit.op("Concat", *parts, axis=0))


def _rows(value: ir.Value, count: int, found: _Attention, edit: Editor) -> ir.Value:
    return edit.op("Reshape", value, integers(count, found.channels))


def _weights(scores: ir.Value, found: _Attention, edit: Editor) -> ir.Value:
    for factor in found.factors:
        inputs = [one if constant(one) is not None else scores for one in factor.inputs]
        scores = edit.op(factor.op_type, *inputs)
    return edit.op("Softmax", scores, axis=-1)


def _attention(node: ir.Node) -> _Attention | None:
    """The attention whose heads a Reshape puts together; None where there is none."""
    turn = sole_producer(node.inputs[0], "Transpose")
    mixed = sole_producer(turn.inputs[0], "MatMul") if turn is not None else None
    whole = static_shape(mixed.outputs[0]) if mixed is not None else None
    if turn is None or mixed is None or whole is None or len(whole) not in (3, 4):
        return None
    softmax = sole_producer(mixed.inputs[0], "Softmax")
    if softmax is None or softmax.attributes.get_int("axis", -1) not in (-1, len(whole) - 1):
        return None
    product, factors = _without_factors(softmax.inputs[0])
    shape = static_shape(softmax.outputs[0])
    if product is None or shape is None or prod(shape[:-3]) != 1:
        return None
    heads = shape[-3]
    if not 2 <= heads <= _MOST_HEADS or not puts_heads_back([turn, node], whole):
        return None
    sources = [
        _parted(value, heads, turned=turned)
        for value, turned in (
            (product.inputs[0], False),
            (product.inputs[1], True),
            (mixed.inputs[1], False),
        )
    ]
    widths = {static_shape(source)[-1] for source in sources if source is not None}  # type: ignore[index]
    if None in sources or len(widths) != 1:
        return None
    queries, keys, values = sources
    assert queries is not None
    assert keys is not None
    assert values is not None
    return _Attention(queries, keys, values, factors, shape[-3:], widths.pop())


def _without_factors(value: ir.Value | None) -> tuple[ir.Node | None, tuple[ir.Node, ...]]:
    """The product behind numbers that it is multiplied by or divided by, and these operators."""
    factors: list[ir.Node] = []
    while (node := sole_producer(value, *_FACTORS)) is not None:
        numbers = [constant(one) for one in node.inputs]
        if numbers[1] is None and (numbers[0] is None or is_op(node, "Div")):
            return None, ()
        if max(one.size for one in numbers if one is not None) != 1:
            return None, ()
        factors.insert(0, node)
        value = node.inputs[0] if numbers[1] is not None else node.inputs[1]
    return sole_producer(value, "MatMul"), tuple(factors)


def _parted(value: ir.Value | None, heads: int, *, turned: bool) -> ir.Value | None:
    """The rows `[n, H D]` whose heads a value is; None where it is something else."""
    shape = static_shape(value)
    if value is None or shape is None or producer(value, *MOVES) is None:
        return None
    source, moves = moved_from(value)
    channels = static_shape(source)
    if channels is None or prod(channels[:-2]) != 1 or constant(source) is not None:
        return None
    return source if turn_of_heads(moves, channels, shape, heads) is turned else None
