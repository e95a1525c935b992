"""Normalizations, as operators and as exporters write them out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.hunt.operators.table import Rng, Row, along, chance, nothing, pick
from benchmarks.hunt.recipe import Builder, ImpossibleError, Settings, Shape, Value


def _scale(g: Builder, channels: int) -> str:
    return g.constant(g.rng.random(channels) + 0.5)


def _shift(g: Builder, channels: int) -> str:
    return g.constant(g.rng.standard_normal(channels) * 0.3)


def batch_norm(g: Builder, x: Sequence[Value], _s: Settings) -> Value:
    """BatchNormalization."""
    c = x[0].shape[1]
    moments = [_scale(g, c), _shift(g, c), _shift(g, c), _scale(g, c)]
    return g.apply("BatchNormalization", [x[0], *moments], x[0].shape)


def layer_norm(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """LayerNormalization over the last axis; of a map with channels last for a moment."""
    given = x[0]
    if s["channels"] and len(given.shape) == 4:
        n, c, h, w = given.shape
        last = g.apply("Transpose", [given], (n, h, w, c), perm=[0, 2, 3, 1])
        found = layer_norm(g, [last], {"channels": False, "bias": s["bias"]})
        return g.apply("Transpose", [found], (n, c, h, w), perm=[0, 3, 1, 2])
    c = given.shape[-1]
    inputs = [given, _scale(g, c), *([_shift(g, c)] if s["bias"] else [])]
    return g.apply("LayerNormalization", inputs, given.shape, axis=-1)


def instance_norm(g: Builder, x: Sequence[Value], _s: Settings) -> Value:
    """InstanceNormalization."""
    c = x[0].shape[1]
    return g.apply("InstanceNormalization", [x[0], _scale(g, c), _shift(g, c)], x[0].shape)


def group_norm(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """GroupNorm of PyTorch: InstanceNormalization of groups, then a scale and a shift a channel."""
    given, groups = x[0], s["groups"]
    n, c = given.shape[:2]
    if c % groups:
        raise ImpossibleError("groups")
    flat = (n, groups, int(np.prod(given.shape[1:])) // groups)
    rows = g.apply("Reshape", [given, g.integers((0, groups, -1))], flat)
    ones, zeros = g.constant(np.ones(groups)), g.constant(np.zeros(groups))
    rows = g.apply("InstanceNormalization", [rows, ones, zeros], flat)
    back = g.apply("Reshape", [rows, g.integers(given.shape)], given.shape)
    wide = (c, *[1] * (len(given.shape) - 2))
    scaled = g.apply("Mul", [back, g.constant(g.rng.random(wide) + 0.5)], given.shape)
    shift = g.constant(g.rng.standard_normal(wide) * 0.3)
    return g.apply("Add", [scaled, shift], given.shape)


def rms_norm(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """X / sqrt(mean(x^2) + eps) * w, as LLaMA-like networks are exported."""
    given = x[0]
    thin = along(given.shape, -1, 1)
    squares = g.apply("Pow", [given, g.constant(2.0)], given.shape)
    mean = g.apply("ReduceMean", [squares, g.integers((-1,))], thin, keepdims=1)
    root = g.apply("Sqrt", [g.apply("Add", [mean, g.constant(1e-5)], thin)], thin)
    if s["reciprocal"]:
        inverse = g.apply("Reciprocal", [root], thin)
        found = g.apply("Mul", [given, inverse], given.shape)
    else:
        found = g.apply("Div", [given, root], given.shape)
    return g.apply("Mul", [found, _scale(g, given.shape[-1])], given.shape)


def l2_norm(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """X / max(|x|, eps) along an axis, as an operator or by hand."""
    given, axis = x[0], s["axis"]
    if s["operator"]:
        return g.apply("LpNormalization", [given], given.shape, axis=axis, p=2)
    thin = along(given.shape, axis, 1)
    length = g.apply("ReduceL2", [given, g.integers((axis,))], thin, keepdims=1)
    length = g.apply("Clip", [length, g.constant(1e-6)], thin)
    return g.apply("Div", [given, length], given.shape)


def softmax(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """Softmax or LogSoftmax."""
    return g.apply(s["op"], [x[0]], x[0].shape, axis=s["axis"])


def _draw_softmax(rng: Rng, shape: Shape) -> Settings:
    op = "Softmax" if chance(rng, 0.85) else "LogSoftmax"
    return {"op": op, "axis": pick(rng, (-1, -1, 1 - len(shape)))}


def _draw_l2(rng: Rng, shape: Shape) -> Settings:
    return {"axis": pick(rng, (-1, 1 - len(shape))), "operator": chance(rng, 0.4)}


def _draw_layer_norm(rng: Rng, _shape: Shape) -> Settings:
    return {"channels": chance(rng, 0.5), "bias": chance(rng, 0.8)}


NORMALIZATIONS = {
    "BatchNorm": Row(nothing, batch_norm, (2, 3, 4), 1.5),
    "LayerNorm": Row(_draw_layer_norm, layer_norm, (2, 3, 4, 5), 2.5),
    "InstanceNorm": Row(nothing, instance_norm, (3, 4), 1),
    "GroupNorm": Row(lambda r, _s: {"groups": pick(r, (1, 2, 4, 8, 32))}, group_norm, (3, 4), 1.5),
    "RmsNorm": Row(lambda r, _s: {"reciprocal": chance(r, 0.5)}, rms_norm, (2, 3, 4), 1.5),
    "L2Norm": Row(_draw_l2, l2_norm, (2, 3, 4), 1),
    "Softmax": Row(_draw_softmax, softmax, (2, 3, 4, 5), 3),
}
