"""Grouped-query attention with a cache, one product a head."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from snapq.llm.graph.builder import GraphBuilder, sizes
from snapq.llm.graph.layers import DecoderGraph, linear, norm

__all__ = ["Positions", "attention"]


@dataclass(frozen=True)
class Positions:
    """What attention knows of where tokens stand.

    Attributes:
        cosine: `[1, 1, rows, head_size / 2]`.
        sine: likewise.
        mask: `[1, 1, rows, context]`, added to logits.
    """

    cosine: ir.Value
    sine: ir.Value
    mask: ir.Value


def attention(
    kit: GraphBuilder,
    source: DecoderGraph,
    layer: int,
    x: ir.Value,
    where: Positions,
    past: tuple[ir.Value, ir.Value],
) -> tuple[ir.Value, tuple[ir.Value, ir.Value]]:
    """Attention up to what its heads give, `[1, rows, heads * head_size]`; new keys and values."""
    name, decoder, rows = f"layers.{layer}", source.decoder, source.rows
    size, context = decoder.head_size, source.layout.context
    queries = _heads(kit, source, f"{name}.q", decoder.heads, x, (0, 2, 1, 3))
    keys = _heads(kit, source, f"{name}.k", decoder.kv_heads, x, (2, 0, 1, 3))
    new_values = _heads(kit, source, f"{name}.v", decoder.kv_heads, x, (2, 0, 1, 3))
    new_values.name = f"present_value_{layer}"
    queries = _turned(kit, f"{name}.q", queries, where)
    keys = _turned(kit, f"{name}.k", keys, where)
    new_keys = kit.transpose(f"present_key_{layer}", keys, 0, 1, 3, 2)
    heads = decoder.kv_heads
    all_keys = kit.node(
        "Concat", f"{name}.keys", [past[0], new_keys], (heads, 1, size, context), axis=3
    )
    all_values = kit.node(
        "Concat", f"{name}.values", [past[1], new_values], (heads, 1, context, size), axis=2
    )
    of_head = (
        _split(kit, f"{name}.query", queries, decoder.heads, 1),
        _split(kit, f"{name}.key", all_keys, heads, 0),
        _split(kit, f"{name}.value", all_values, heads, 0),
    )
    given = []
    for head in range(decoder.heads):
        served = head * heads // decoder.heads
        own, shape = f"{name}.head{head}", (1, 1, rows, context)
        logits = kit.node("MatMul", f"{own}.logits", [of_head[0][head], of_head[1][served]], shape)
        logits = kit.node("Add", f"{own}.masked", [logits, where.mask], shape)
        share = kit.node("Softmax", f"{own}.share", [logits], shape, axis=-1)
        inputs = [share, of_head[2][served]]
        given.append(kit.node("MatMul", own, inputs, (1, 1, rows, size)))
    width = decoder.heads * size
    joined = given[0]
    if len(given) > 1:
        joined = kit.node("Concat", f"{name}.heads", given, (1, 1, rows, width), axis=3)
    return kit.reshape(f"{name}.attended", joined, 1, rows, width), (new_keys, new_values)


def _heads(
    kit: GraphBuilder,
    source: DecoderGraph,
    name: str,
    count: int,
    x: ir.Value,
    order: tuple[int, ...],
) -> ir.Value:
    """What a layer gives, normalized where it is, as `[1, rows, heads, size]` put in an order."""
    given = linear(kit, source, name, x)
    shaped = kit.reshape(f"{name}_heads", given, 1, source.rows, count, source.decoder.head_size)
    if f"{name}_norm.weight" in source.weights:
        shaped = norm(kit, source, f"{name}_norm", shaped)
    return kit.transpose(f"{name}_ordered", shaped, *order)


def _turned(kit: GraphBuilder, name: str, x: ir.Value, where: Positions) -> ir.Value:
    """Heads turned by their position: the first half of each with its second."""
    whole = sizes(x)
    half = [*whole[:3], whole[3] // 2]
    attributes = {"axis": 3, "num_outputs": 2}
    first, second = kit.nodes("Split", f"{name}_halves", [x], [half, half], **attributes)

    def product(label: str, of: ir.Value, by: ir.Value) -> ir.Value:
        return kit.node("Mul", f"{name}_{label}", [of, by], half)

    low = [product("first_cosine", first, where.cosine), product("second_sine", second, where.sine)]
    high = [
        product("second_cosine", second, where.cosine),
        product("first_sine", first, where.sine),
    ]
    parts = [kit.node("Sub", f"{name}_low", low, half), kit.node("Add", f"{name}_high", high, half)]
    return kit.node("Concat", f"{name}_turned", parts, whole, axis=3)


def _split(
    kit: GraphBuilder, name: str, x: ir.Value, count: int, axis: int
) -> tuple[ir.Value, ...]:
    shape = sizes(x)
    shape[axis] = 1
    if count == 1:
        return (x,)
    return kit.nodes("Split", name, [x], [shape] * count, axis=axis, num_outputs=count)
