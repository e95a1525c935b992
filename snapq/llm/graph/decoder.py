"""The graph of a decoder for a fixed number of tokens, in the form that is fast on the NPU.

Estimated for two layers of SmolLM2-135M, 128 tokens, qcs9075: one product a head takes 719 us,
one four-dimensional product of grouped heads 1,048, keys expanded to all heads 934, the operator
Attention 771; RMSNormalization as one operator is as fast as the rest of it, and RotaryEmbedding
slower than the products that it stands for. With the head and at w8a16, products that turn the
halves of `[1, heads, rows, size]` take 1,285 us, of all heads side by side 1,076. With one token
all of them wait for the weights alone.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.llm.cache import ATTENTION_MASK, INPUT_IDS, LOGITS, POSITION_IDS
from snapq.llm.graph.attention import Angles, Positions, attention
from snapq.llm.graph.builder import Constants, GraphBuilder
from snapq.llm.graph.layers import DecoderGraph, linear, norm

__all__ = ["FORM", "LAST_ROW", "build"]

LAST_ROW = "last_row"
"""Name of the node behind which only the last token goes on; without it all have logits."""
FORM = "cosine_queries"
"""Name of a node that no graph of an earlier form has."""
_IR_VERSION = 10
_MASKED = -1e4
"""Added to the logits of what must not be seen; fp16 holds it."""


def build(source: DecoderGraph, name: str, constants: Constants) -> ir.Model:
    """Writes a graph; its weights go to `constants`, or are there already.

    The inputs are those of `cache`; outputs are the logits behind the last token,
    `[1, 1, vocabulary]`, and the new keys and values.
    """
    decoder, rows = source.decoder, source.rows
    kit = GraphBuilder(name, constants)
    ids = kit.input(INPUT_IDS, (1, rows), ir.DataType.INT32)
    position = kit.input(POSITION_IDS, (1, rows), ir.DataType.INT32)
    mask = kit.input(ATTENTION_MASK, (1, source.layout.context), ir.DataType.INT32)
    past = {
        name: kit.input(name, shape, ir.DataType.FLOAT)
        for name, shape in source.layout.inputs(rows).items()
    }
    stream = (1, rows, decoder.hidden)
    table = kit.weight("embedding.weight", lambda: source.weights["embedding.weight"])
    x = kit.node("Gather", "embedding", [table, ids], stream, axis=0)
    where = Positions(
        _angles(kit, source, position, "queries", decoder.heads),
        _angles(kit, source, position, "keys", decoder.kv_heads),
        _mask(kit, source, mask),
    )
    present: list[ir.Value] = []
    for layer in range(decoder.layers):
        x, new = _layer(kit, source, layer, (x, where, past))
        present += new
    if rows > 1:
        ends = [kit.integers("row_last", rows - 1), kit.integers("row_end", rows)]
        axis = kit.integers("row_axis", 1)
        x = kit.node("Slice", LAST_ROW, [x, *ends, axis], (1, 1, decoder.hidden))
    x = norm(kit, source, "norm", x)
    head = "embedding.weight" if decoder.tied else "head.weight"
    weight = kit.weight("head.weight_transposed", lambda: source.weights[head].T)
    kit.output(kit.node("MatMul", LOGITS, [x, weight], (1, 1, decoder.vocabulary)))
    for value in present:
        kit.output(value)
    return ir.Model(kit.graph, ir_version=_IR_VERSION, producer_name="snapq")


def _layer(
    kit: GraphBuilder,
    source: DecoderGraph,
    layer: int,
    read: tuple[ir.Value, Positions, dict[str, ir.Value]],
) -> tuple[ir.Value, tuple[ir.Value, ir.Value]]:
    """One layer: what it adds to the residual stream, and its new keys and values."""
    x, where, past = read
    name, decoder = f"layers.{layer}", source.decoder
    stream = (1, source.rows, decoder.hidden)
    inner = (1, source.rows, decoder.intermediate)
    normal = norm(kit, source, f"{name}.norm1", x)
    held = (past[f"past_key_{layer}"], past[f"past_value_{layer}"])
    heads, new = attention(kit, source, layer, normal, where, held)
    x = kit.node("Add", f"{name}.residual1", [x, linear(kit, source, f"{name}.o", heads)], stream)
    normal = norm(kit, source, f"{name}.norm2", x)
    gate = linear(kit, source, f"{name}.gate", normal)
    up = linear(kit, source, f"{name}.up", normal)
    half = kit.node("Sigmoid", f"{name}.gate_sigmoid", [gate], inner)
    gate = kit.node("Mul", f"{name}.gate_silu", [gate, half], inner)
    gated = kit.node("Mul", f"{name}.gated", [gate, up], inner)
    x = kit.node(
        "Add", f"{name}.residual2", [x, linear(kit, source, f"{name}.down", gated)], stream
    )
    return x, new


def _angles(
    kit: GraphBuilder, source: DecoderGraph, position: ir.Value, of: str, count: int
) -> Angles:
    """What turns `count` heads of each row, looked up for all of them side by side."""
    size, context = source.decoder.head_size, source.layout.context
    cosine, sine = source.decoder.rope.tables(context, size)
    shape = (1, source.rows, count * size)
    found = []
    for name, halves in (("cosine", [cosine, cosine]), ("sine", [-sine, sine])):
        label = f"{name}_{of}"
        held = kit.weight(f"{label}_table", lambda halves=halves: np.hstack(halves * count))  # type: ignore[misc]
        found.append(kit.node("Gather", label, [held, position], shape, axis=0))
    return Angles(*found)


def _mask(kit: GraphBuilder, source: DecoderGraph, given: ir.Value) -> ir.Value:
    """What is added to logits, `[1, 1, rows, context]`: 0, or far below where none may look."""
    rows, context = source.rows, source.layout.context
    real = kit.node("Cast", "mask", [given], (1, context), to=int(ir.DataType.FLOAT))
    real = kit.reshape("mask_row", real, 1, 1, 1, context)
    if rows > 1:
        seen = np.tri(rows, context, context - rows, dtype=np.float32)[None, None]
        causal = kit.constant("causal", seen)
        real = kit.node("Mul", "mask_causal", [real, causal], (1, 1, rows, context))
    shape = (1, 1, rows, context)
    less = kit.node(
        "Sub", "mask_less", [real, kit.constant("one", np.array([1], np.float32))], shape
    )
    below = kit.constant("masked", np.array([-_MASKED], np.float32))
    return kit.node("Mul", "mask_bias", [less, below], shape)
