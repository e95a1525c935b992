"""Grouped-query attention with a cache, one product a head."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from snapq.llm.graph.builder import GraphBuilder, sizes
from snapq.llm.graph.layers import DecoderGraph, linear, norm

__all__ = ["Angles", "Positions", "attention"]


@dataclass(frozen=True)
class Angles:
    """By what all heads of queries or keys are turned, `[1, rows, heads * head_size]`.

    Attributes:
        cosine: of each channel.
        sine: likewise, negative for the first half of a head.
    """

    cosine: ir.Value
    sine: ir.Value


@dataclass(frozen=True)
class Positions:
    """What attention knows of where tokens stand.

    Attributes:
        queries: turns these.
        keys: turns these.
        mask: `[1, 1, rows, context]`, added to logits.
    """

    queries: Angles
    keys: Angles
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
    rotated = _rotated(kit, source, f"{name}.q", decoder.heads, x, where.queries)
    queries = _heads(kit, source, f"{name}.q", decoder.heads, rotated, (0, 2, 1, 3))
    rotated = _rotated(kit, source, f"{name}.k", decoder.kv_heads, x, where.keys)
    keys = _heads(kit, source, f"{name}.k", decoder.kv_heads, rotated, (2, 0, 1, 3))
    values = linear(kit, source, f"{name}.v", x)
    new_values = _heads(kit, source, f"{name}.v", decoder.kv_heads, values, (2, 0, 1, 3))
    new_values.name = f"present_value_{layer}"
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
    """`[1, rows, heads * size]` as `[1, rows, heads, size]` put in an order."""
    shaped = kit.reshape(f"{name}_heads", x, 1, source.rows, count, source.decoder.head_size)
    return kit.transpose(f"{name}_ordered", shaped, *order)


def _rotated(
    kit: GraphBuilder, source: DecoderGraph, name: str, count: int, x: ir.Value, by: Angles
) -> ir.Value:
    """Queries or keys, normalized where they are, each head turned by the position of its row.

    All heads lie side by side, and the angles for all of them: products that repeat the angles of
    one head are slow on the NPU, and at 16 bits wrong for some rows.
    """
    rows, size = source.rows, source.decoder.head_size
    given = linear(kit, source, name, x)
    if f"{name}_norm.weight" in source.weights:
        apart = kit.reshape(f"{name}_apart", given, 1, rows, count, size)
        apart = norm(kit, source, f"{name}_norm", apart)
        given = kit.reshape(f"{name}_normal", apart, 1, rows, count * size)
    shape = sizes(given)
    halves = kit.nodes(
        "Split",
        f"{name}_halves",
        [given],
        [(1, rows, size // 2)] * (2 * count),
        axis=2,
        num_outputs=2 * count,
    )
    others = [halves[index ^ 1] for index in range(2 * count)]
    other = kit.node("Concat", f"{name}_swapped", others, shape, axis=2)
    own = kit.node("Mul", f"{name}_cosine", [given, by.cosine], shape)
    other = kit.node("Mul", f"{name}_sine", [other, by.sine], shape)
    return kit.node("Add", f"{name}_rotated", [own, other], shape)


def _split(
    kit: GraphBuilder, name: str, x: ir.Value, count: int, axis: int
) -> tuple[ir.Value, ...]:
    shape = sizes(x)
    shape[axis] = 1
    if count == 1:
        return (x,)
    return kit.nodes("Split", name, [x], [shape] * count, axis=axis, num_outputs=count)
