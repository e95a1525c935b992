"""Pooling, and reductions along axes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from benchmarks.hunt.operators.table import Rng, Row, axis_of, chance, nothing, pick
from benchmarks.hunt.recipe import Builder, ImpossibleError, Settings, Shape, Value


def pool(op_type: str, g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """MaxPool or AveragePool."""
    given, n = x[0], len(s["kernel"])
    spatial = []
    for i in range(n):
        room = given.shape[2 + i] + s["pads"][i] + s["pads"][n + i] - s["kernel"][i]
        if room < 0:
            raise ImpossibleError("kernel larger than the map")
        if s["ceil"] and room % s["strides"][i]:
            raise ImpossibleError("the last window would hang over")
        spatial.append(room // s["strides"][i] + 1)
    attributes = {"count_include_pad": int(s["count"])} if op_type == "AveragePool" else {}
    return g.apply(
        op_type,
        [given],
        (*given.shape[:2], *spatial),
        kernel_shape=s["kernel"],
        strides=s["strides"],
        pads=s["pads"],
        ceil_mode=int(s["ceil"]),
        **attributes,
    )


def global_pool(op_type: str, g: Builder, x: Sequence[Value], _s: Settings) -> Value:
    """GlobalAveragePool or GlobalMaxPool."""
    return g.apply(op_type, [x[0]], (*x[0].shape[:2], *[1] * (len(x[0].shape) - 2)))


def reduction(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """A reduction along one or two axes."""
    given, rank = x[0], len(x[0].shape)
    axes = {axis + rank for axis in s["axes"]}
    keep = s["keepdims"] or rank - len(axes) < 2
    shape = [1 if i in axes else n for i, n in enumerate(given.shape) if keep or i not in axes]
    inputs = [given, g.integers(s["axes"])]
    return g.apply(s["op"], inputs, tuple(shape), keepdims=int(keep))


def squeeze_excite(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """Squeeze-and-excitation: the map times a gate a channel."""
    given = x[0]
    n, c, _, _ = given.shape
    inner = max(c // 4, 1)
    found = g.apply("GlobalAveragePool", [given], (n, c, 1, 1))
    for out, function in ((inner, "Relu"), (c, s["gate"])):
        fan_in = found.shape[1]
        weight = g.constant(g.rng.standard_normal((out, fan_in, 1, 1)) / fan_in**0.5)
        bias = g.constant(g.rng.standard_normal(out) * 0.3)
        found = g.apply("Conv", [found, weight, bias], (n, out, 1, 1), kernel_shape=[1, 1])
        found = g.apply(function, [found], found.shape)
    return g.apply("Mul", [given, found], given.shape)


def spatial_gate(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """The map times the Sigmoid of its mean or largest value over the channels."""
    n, _, h, w = x[0].shape
    thin = g.apply(s["op"], [x[0], g.integers((1,))], (n, 1, h, w), keepdims=1)
    return g.apply("Mul", [x[0], g.apply("Sigmoid", [thin], thin.shape)], x[0].shape)


def cumsum(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """CumSum along an axis."""
    order = {"exclusive": int(s["exclusive"]), "reverse": int(s["reverse"])}
    return g.apply("CumSum", [x[0], g.constant(s["axis"], np.int64)], x[0].shape, **order)


def _draw_pool(rng: Rng, shape: Shape) -> Settings:
    spatial = len(shape) - 2
    kernel = pick(rng, (2, 2, 3, 3, 5, 7))
    pads = [(kernel - 1) // 2 if chance(rng, 0.4) else 0] * (2 * spatial)
    return {
        "kernel": [kernel] * spatial,
        "strides": [pick(rng, (1, 2, 2, 3))] * spatial,
        "pads": pads,
        "ceil": chance(rng, 0.2),
        "count": chance(rng, 0.5),
    }


def _draw_reduction(rng: Rng, shape: Shape) -> Settings:
    op = pick(
        rng, ("Mean", "Mean", "Mean", "Max", "Min", "Sum", "Sum", "L2", "L1", "Prod", "LogSumExp")
    )
    axes = [-2, -1] if len(shape) == 4 and chance(rng, 0.5) else [axis_of(rng, shape)]
    return {"op": f"Reduce{op}", "axes": axes, "keepdims": chance(rng, 0.6)}


def _draw_sum(rng: Rng, shape: Shape) -> Settings:
    return {
        "axis": axis_of(rng, shape),
        "exclusive": chance(rng, 0.3),
        "reverse": chance(rng, 0.3),
    }


REDUCTIONS = {
    "MaxPool": Row(_draw_pool, partial(pool, "MaxPool"), (3, 4), 1.5),
    "AveragePool": Row(_draw_pool, partial(pool, "AveragePool"), (3, 4), 1.5),
    "GlobalAveragePool": Row(nothing, partial(global_pool, "GlobalAveragePool"), (3, 4), 1),
    "GlobalMaxPool": Row(nothing, partial(global_pool, "GlobalMaxPool"), (3, 4), 0.4),
    "Reduce": Row(_draw_reduction, reduction, (2, 3, 4, 5), 2.5),
    "SqueezeExcite": Row(
        lambda r, _s: {"gate": pick(r, ("Sigmoid", "HardSigmoid"))}, squeeze_excite, (4,), 1.5
    ),
    "SpatialGate": Row(
        lambda r, _s: {"op": pick(r, ("ReduceMean", "ReduceMax"))}, spatial_gate, (4,), 0.7
    ),
    "CumSum": Row(_draw_sum, cumsum, (2, 3, 4, 5), 0.5),
}
