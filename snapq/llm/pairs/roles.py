"""Which product of a graph is which layer of a decoder of the Llama type."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import onnx_ir as ir

from snapq.errors import ModelError
from snapq.graph.edit import constant_ints
from snapq.graph.shapes import static_shape
from snapq.llm.pairs.flow import Flow, Layer, made_of
from snapq.llm.pairs.ports import Join

__all__ = ["Block", "Roles", "assign_roles"]

_GATES = ("Sigmoid", "Swish")
_HINT = (
    "Only decoders of the Llama type are taken apart: RMSNorm, RoPE, grouped queries, SwiGLU, one "
    "product for each of q, k, v, o, gate, up and down."
)


@dataclass(frozen=True)
class Block:
    """The layers of one block of a decoder.

    Attributes:
        queries: what the keys are multiplied with.
        keys: where new keys come to the cache.
        values: likewise of values.
    """

    q: Layer
    k: Layer
    v: Layer
    o: Layer
    gate: Layer
    up: Layer
    down: Layer
    queries: ir.Value
    keys: Join
    values: Join

    def named(self) -> Iterator[tuple[str, Layer]]:
        """Each layer with its name in a decoder."""
        for name in ("q", "k", "v", "o", "gate", "up", "down"):
            yield name, getattr(self, name)


@dataclass(frozen=True)
class Roles:
    """All products of a decoder.

    Attributes:
        blocks: in their order.
        head: gives the logits.
        logits: the output.
    """

    blocks: tuple[Block, ...]
    head: Layer
    logits: ir.Value


def assign_roles(flow: Flow, joins: Sequence[Join], where: str) -> Roles:
    """Tells layers by what they read and by where keys and values come from.

    1. Keys and values come from the layers k and v, what multiplies keys from q. Those of them that
       are one product are its rows in this order.
    2. o is the layer that comes from q, k and v alone; gate and up are those that come from what
       q comes from and from o; down is the one that comes from both.
       Where gate and up are one product, the half that SiLU reads is the gate.
    3. The head is the one that gives the logits.

    Raises:
        ModelError: a layer is missing, or there is one that such a decoder does not have.
    """
    keys = [join for join in joins if join.is_key]
    values = [join for join in joins if not join.is_key]
    if len(keys) != len(values):
        raise ModelError(
            f"It has a cache of {len(keys)} keys and of {len(values)} values.",
            where=where,
            hint=_HINT,
        )
    blocks = tuple(
        _block(flow, index, key, value, where)
        for index, (key, value) in enumerate(zip(keys, values, strict=True))
    )
    present = {join.present for join in joins}
    others = [output for output in flow.graph.outputs if output not in present]
    if len(others) != 1:
        named = ", ".join(f"'{output.name}'" for output in others) or "none"
        raise ModelError(
            f"One output must be the logits, and beside the cache there are: {named}.",
            where=where,
            hint="Export logits and cache alone.",
        )
    head = _only(flow.of(flow.sources(others[0])), "the head", where)
    used = head.bit
    for block in blocks:
        for _, layer in block.named():
            used |= layer.bit
    more = [layer for layer in flow.layers if not layer.bit & used]
    if more:
        raise ModelError(
            f"{more[0].name} is no layer of such a decoder"
            + (f", nor are {len(more) - 1} more." if len(more) > 1 else "."),
            where=where,
            hint=_HINT,
        )
    return Roles(blocks, head, others[0])


def _block(flow: Flow, index: int, keys: Join, values: Join, where: str) -> Block:
    def only(bits: int, what: str) -> Layer:
        return _only(flow.of(bits), f"{what} of block {index}", where)

    def reading(bits: int) -> list[Layer]:
        return [layer for layer in flow.layers if layer.sources == bits]

    queries = _queries(keys)
    q, k, v = _divided(
        only(flow.sources(queries), "q"),
        only(flow.sources(keys.new), "k"),
        only(flow.sources(values.new), "v"),
        _channels(keys),
    )
    o = _only(reading(q.bit | k.bit | v.bit), f"o of block {index}", where)
    gates = [half for layer in reading(q.sources | o.bit) for half in _halves(layer)]
    if len(gates) != 2:
        raise ModelError(
            f"Block {index} has {len(gates)} layers behind its attention, and needs gate and up.",
            where=where,
            hint=_HINT,
        )
    down = _only(reading(gates[0][0].bit | gates[1][0].bit), f"down of block {index}", where)
    gated = [any(node.op_type in _GATES for node, _ in given.uses()) for _, given in gates]
    if gated == [True, False]:
        gate, up = gates[0][0], gates[1][0]
    elif gated == [False, True]:
        up, gate = gates[0][0], gates[1][0]
    else:
        acting = next(
            (node for _, given in gates for node, _ in given.uses() if node.op_type != "Mul"), None
        )
        found = f": {acting.op_type} '{acting.name}'" if acting is not None else ""
        raise ModelError(f"The gate of block {index} is not SiLU{found}.", where=where, hint=_HINT)
    return Block(q, k, v, o, gate, up, down, queries, keys, values)


def _queries(keys: Join) -> ir.Value:
    """Of what a product of attention reads, that which is not made of the keys."""
    first, second = keys.product.inputs[:2]
    assert first is not None
    assert second is not None
    return second if keys.whole in made_of(first) else first


def _channels(keys: Join) -> int:
    """How many a new key of all heads has."""
    shape = static_shape(keys.new) or (1,)
    return prod(shape) // shape[keys.axis]


def _divided(q: Layer, k: Layer, v: Layer, channels: int) -> tuple[Layer, Layer, Layer]:
    """The layers of queries, keys and values, where some of them are one product."""
    layers = [q, k, v]
    for packed in dict.fromkeys(layers):
        own = [place for place, layer in enumerate(layers) if layer is packed]
        begin = 0
        for place in own if len(own) > 1 else ():
            size = channels if place else packed.shape[0] - channels * (len(own) - 1)
            layers[place] = packed.part(begin, begin + size)
            begin += size
    return layers[0], layers[1], layers[2]


def _halves(layer: Layer) -> list[tuple[Layer, ir.Value]]:
    """A layer with what it gives; two where that is divided into halves."""
    readers = [node for node, _ in layer.out.uses()]
    half = layer.shape[0] // 2
    given: list[ir.Value] = []
    if len(readers) == 1 and readers[0].op_type == "Split":
        given = list(readers[0].outputs)
    elif len(readers) == 2 and all(node.op_type == "Slice" for node in readers):
        starts = [(constant_ints(node.inputs[1]) or (0,))[0] for node in readers]
        given = [node.outputs[0] for node in (readers if starts[0] <= starts[1] else readers[::-1])]
    if len(given) != 2:
        return [(layer, layer.out)]
    return [(layer.part(0, half), given[0]), (layer.part(half, 2 * half), given[1])]


def _only(layers: Sequence[Layer], what: str, where: str) -> Layer:
    if len(layers) == 1:
        return layers[0]
    named = ", ".join(layer.name for layer in layers) or "none"
    raise ModelError(
        f"One product by weights must be {what}, and there are: {named}.", where=where, hint=_HINT
    )
