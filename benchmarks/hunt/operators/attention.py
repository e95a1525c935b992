"""Attention over tokens, as exporters write it out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.hunt.operators.table import Rng, Row, chance, pick
from benchmarks.hunt.recipe import Builder, ImpossibleError, Settings, Shape, Value


def _linear(g: Builder, x: Value, out: int) -> Value:
    width = x.shape[-1]
    weight = g.constant(g.rng.standard_normal((width, out)) / np.sqrt(width))
    found = g.apply("MatMul", [x, weight], (*x.shape[:-1], out))
    return g.apply("Add", [found, g.constant(g.rng.standard_normal(out) * 0.2)], found.shape)


def _heads(g: Builder, x: Value, heads: int, perm: list[int]) -> Value:
    n, t, width = x.shape
    wide = (n, t, heads, width // heads)
    found = g.apply("Reshape", [x, g.integers(wide)], wide)
    return g.apply("Transpose", [found], tuple(wide[i] for i in perm), perm=perm)


def attention(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """Self-attention of several heads, with or without a causal mask."""
    given, heads = x[0], s["heads"]
    n, t, width = given.shape
    if width % heads or t < 2:
        raise ImpossibleError("heads")
    q, k, v = (_linear(g, given, width) for _ in range(3))
    queries = _heads(g, q, heads, [0, 2, 1, 3])
    keys = _heads(g, k, heads, [0, 2, 3, 1])
    values = _heads(g, v, heads, [0, 2, 1, 3])
    scale = float((width // heads) ** -0.5)
    if s["scale_first"]:
        queries = g.apply("Mul", [queries, g.constant(scale)], queries.shape)
    scores = g.apply("MatMul", [queries, keys], (n, heads, t, t))
    if not s["scale_first"]:
        scores = g.apply("Mul", [scores, g.constant(scale)], scores.shape)
    if s["causal"]:
        mask = np.triu(np.full((t, t), s["mask"]), 1).reshape(1, 1, t, t)
        scores = g.apply("Add", [scores, g.constant(mask)], scores.shape)
    weights = g.apply("Softmax", [scores], scores.shape, axis=-1)
    mixed = g.apply("MatMul", [weights, values], (n, heads, t, width // heads))
    rows = g.apply("Transpose", [mixed], (n, t, heads, width // heads), perm=[0, 2, 1, 3])
    rows = g.apply("Reshape", [rows, g.integers((n, t, width))], (n, t, width))
    return _linear(g, rows, width)


def softmax_matmul(g: Builder, x: Sequence[Value], _s: Settings) -> Value:
    """softmax(x x^T) x: attention without weights."""
    given = x[0]
    n, t, width = given.shape
    turned = g.apply("Transpose", [given], (n, width, t), perm=[0, 2, 1])
    scores = g.apply("MatMul", [given, turned], (n, t, t))
    scores = g.apply("Div", [scores, g.constant(float(np.sqrt(width)))], scores.shape)
    weights = g.apply("Softmax", [scores], scores.shape, axis=-1)
    return g.apply("MatMul", [weights, given], given.shape)


def _draw(rng: Rng, _shape: Shape) -> Settings:
    return {
        "heads": pick(rng, (1, 2, 4)),
        "scale_first": chance(rng, 0.5),
        "causal": chance(rng, 0.3),
        "mask": pick(rng, (-100.0, -1e4, -3.4e38)),
    }


ATTENTION = {
    "Attention": Row(_draw, attention, (3,), 3),
    "SoftmaxMatMul": Row(lambda _r, _s: {}, softmax_matmul, (3,), 1),
}
