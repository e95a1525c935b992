"""Comparisons and Where, the best elements, and what is looked up or written by place."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from onnx import TensorProto

from benchmarks.hunt.operators.table import Rng, Row, along, axis_of, chance, pick
from benchmarks.hunt.recipe import Builder, ImpossibleError, Settings, Shape, Value


def where(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """Where of a comparison with a number, between the value and a constant or its own function."""
    given = x[0]
    condition = g.apply(s["compare"], [given, g.constant(s["threshold"])], given.shape)
    if s["negate"]:
        condition = g.apply("Not", [condition], given.shape)
    if s["and"]:
        upper = g.apply("Less", [given, g.constant(1.5)], given.shape)
        condition = g.apply(s["and"], [condition, upper], given.shape)
    if s["cast"]:
        kept = g.apply("Cast", [condition], given.shape, to=TensorProto.FLOAT)
        return g.apply("Mul", [given, kept], given.shape)
    other: Value | str = g.constant(s["other"])
    if s["function"]:
        other = g.apply(s["function"], [given], given.shape)
    chosen = [other, given] if s["swap"] else [given, other]
    return g.apply("Where", [condition, *chosen], given.shape)


def masked(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """Where of a constant mask along the last one or two axes; with Softmax as attention does."""
    given = x[0]
    shape = given.shape[-2:] if s["two"] and len(given.shape) > 1 else given.shape[-1:]
    mask = np.tri(*shape, dtype=bool) if len(shape) == 2 else g.rng.random(shape) < 0.6
    mask[..., 0] = True
    hidden = g.constant(s["hidden"])
    found = g.apply("Where", [g.constant(mask, np.bool_), given, hidden], given.shape)
    return g.apply("Softmax", [found], given.shape, axis=-1) if s["softmax"] else found


def best(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """ArgMax or ArgMin: the place as a number, or the element there of a function of the value."""
    given, axis = x[0], s["axis"]
    shape = along(given.shape, axis, 1)
    place = g.apply(s["op"], [given], shape, axis=axis, keepdims=1)
    if s["use"] == "number":
        return g.apply("Cast", [place], shape, to=TensorProto.FLOAT)
    source = given
    if s["use"] == "function":
        source = g.apply("Sigmoid", [given], given.shape)
    return g.apply("GatherElements", [source, place], shape, axis=axis)


def looked_up(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """Rows of a table at the ArgMax of the last axis."""
    given, width = x[0], s["width"]
    shape = given.shape[:-1]
    place = g.apply("ArgMax", [given], shape, axis=-1, keepdims=0)
    table = g.constant(g.rng.standard_normal((given.shape[-1], width)))
    return g.apply("Gather", [table, place], (*shape, width), axis=0)


def top(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """TopK: its values, its places as numbers, or what another tensor holds there."""
    given, axis = x[0], s["axis"]
    k = min(s["k"], given.shape[axis])
    shape = along(given.shape, axis, k)
    found = [given, g.integers((k,))]
    values, places = g.several("TopK", found, [shape, shape], axis=axis, largest=int(s["largest"]))
    if s["use"] == "values":
        return values
    if s["use"] == "places":
        return g.apply("Cast", [places], shape, to=TensorProto.FLOAT)
    other = g.apply("Tanh", [given], given.shape)
    return g.apply("GatherElements", [other, places], shape, axis=axis)


def one_hot(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """OneHot of the ArgMax of the last axis."""
    given = x[0]
    place = g.apply("ArgMax", [given], given.shape[:-1], axis=-1, keepdims=0)
    depth = g.constant(given.shape[-1], np.int64)
    values = g.constant([s["off"], s["on"]])
    return g.apply("OneHot", [place, depth, values], given.shape, axis=-1)


def gather_nd(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """GatherND of constant places along the axes behind the batch."""
    given, many = x[0], s["many"]
    depth = min(s["depth"], len(given.shape) - 1)
    inner = given.shape[1 : 1 + depth]
    picks = np.stack([g.rng.integers(0, n, (given.shape[0], many)) for n in inner], axis=-1)
    shape = (given.shape[0], many, *given.shape[1 + depth :])
    return g.apply("GatherND", [given, g.constant(picks, np.int64)], shape, batch_dims=1)


def gather_elements(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """GatherElements of constant places."""
    given, axis = x[0], s["axis"]
    shape = along(given.shape, axis, s["picks"])
    places = g.rng.integers(0, given.shape[axis], shape)
    return g.apply("GatherElements", [given, g.constant(places, np.int64)], shape, axis=axis)


def scatter(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """ScatterND of constant rows, or ScatterElements, of a function of the value or constants."""
    given, axis = x[0], s["axis"]
    length = given.shape[axis]
    many = max(min(s["picks"], length), 1)
    places = g.rng.permutation(length)[:many]
    shape = along(given.shape, axis, many)
    if s["computed"]:
        picked = g.apply("Gather", [given, g.integers(range(many))], shape, axis=axis)
        updates: Value | str = g.apply("Tanh", [picked], shape)
    else:
        updates = g.constant(g.rng.standard_normal(shape))
    if s["elements"]:
        column = along((1,) * len(shape), axis, many)
        filled = np.broadcast_to(places.reshape(column), shape)
        inputs = [given, g.constant(filled, np.int64), updates]
        return g.apply("ScatterElements", inputs, given.shape, axis=axis, reduction=s["reduction"])
    grids = np.meshgrid(*(range(n) for n in given.shape[:axis]), places, indexing="ij")
    indices = np.stack(grids, axis=-1)
    inputs = [given, g.constant(indices, np.int64), updates]
    return g.apply("ScatterND", inputs, given.shape, reduction=s["reduction"])


def trilu(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """Trilu: one triangle of the last two axes."""
    diagonal = g.constant(s["k"], np.int64)
    return g.apply("Trilu", [x[0], diagonal], x[0].shape, upper=int(s["upper"]))


def grid_sample(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """GridSample at constant or at computed places."""
    n, c, *_ = x[0].shape
    out_h, out_w = s["size"]
    if math.prod((n, c, out_h, out_w)) > 20_000:
        raise ImpossibleError("too large")
    shape = (n, out_h, out_w, 2)
    places: Value | str = g.constant(g.rng.uniform(-1.2, 1.2, shape))
    if s["computed"]:
        mean = g.apply("ReduceMean", [x[0], g.integers((1, 2, 3))], (n, 1, 1, 1), keepdims=1)
        small = g.apply("Tanh", [mean], (n, 1, 1, 1))
        base = g.constant(g.rng.uniform(-0.6, 0.6, shape))
        places = g.apply("Add", [base, small], shape)
    modes = {"mode": s["mode"], "padding_mode": s["padding"], "align_corners": int(s["align"])}
    return g.apply("GridSample", [x[0], places], (n, c, out_h, out_w), **modes)


def rounded(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """What is left of four times the value behind Floor, Ceil or Round; or its Sign."""
    given = x[0]
    if s["op"] == "Sign":
        return g.apply("Mul", [given, g.apply("Sign", [given], given.shape)], given.shape)
    scaled = g.apply("Mul", [given, g.constant(s["times"])], given.shape)
    whole = g.apply(s["op"], [scaled], given.shape)
    return g.apply("Sub", [scaled, whole], given.shape) if s["rest"] else whole


def _draw_where(rng: Rng, _shape: Shape) -> Settings:
    return {
        "compare": pick(rng, ("Greater", "Less", "GreaterOrEqual", "LessOrEqual")),
        "threshold": pick(rng, (0.0, 0.3, -0.7)),
        "negate": chance(rng, 0.2),
        "and": pick(rng, ("", "", "And", "Or", "Xor")),
        "cast": chance(rng, 0.2),
        "other": pick(rng, (0.0, 1.0, -2.0)),
        "function": pick(rng, ("", "", "Tanh", "Neg", "Exp")),
        "swap": chance(rng, 0.3),
    }


def _draw_masked(rng: Rng, _shape: Shape) -> Settings:
    hidden = pick(rng, (0.0, -5.0, -1e4, -1e9))
    return {"two": chance(rng, 0.6), "hidden": hidden, "softmax": hidden < -5 or chance(rng, 0.3)}


def _draw_best(rng: Rng, shape: Shape) -> Settings:
    use = pick(rng, ("number", "itself", "function"))
    op = "ArgMax" if chance(rng, 0.7) else "ArgMin"
    return {"axis": axis_of(rng, shape), "use": use, "op": op}


def _draw_top(rng: Rng, shape: Shape) -> Settings:
    return {
        "axis": -1 if chance(rng, 0.7) else axis_of(rng, shape),
        "k": pick(rng, (1, 2, 5, 16, 64, 100)),
        "largest": chance(rng, 0.8),
        "use": pick(rng, ("values", "values", "places", "other")),
    }


def _draw_scatter(rng: Rng, shape: Shape) -> Settings:
    return {
        "axis": int(rng.integers(0, len(shape))),
        "picks": pick(rng, (1, 2, 5, 16)),
        "computed": chance(rng, 0.6),
        "elements": chance(rng, 0.5),
        "reduction": pick(rng, ("none", "none", "none", "add", "max")),
    }


def _draw_grid(rng: Rng, _shape: Shape) -> Settings:
    return {
        "size": [int(rng.integers(1, 24)), int(rng.integers(1, 24))],
        "computed": chance(rng, 0.5),
        "mode": pick(rng, ("linear", "linear", "nearest")),
        "padding": pick(rng, ("zeros", "border", "reflection")),
        "align": chance(rng, 0.5),
    }


SELECTIONS = {
    "Where": Row(_draw_where, where, (2, 3, 4, 5), weight=2),
    "Masked": Row(_draw_masked, masked, (2, 3, 4, 5), weight=1.5),
    "ArgMax": Row(_draw_best, best, (2, 3, 4), weight=1.5),
    "LookUp": Row(lambda r, _s: {"width": pick(r, (1, 3, 16, 33))}, looked_up, (2, 3, 4), 0.7),
    "TopK": Row(_draw_top, top, (2, 3, 4), weight=1.5),
    "OneHot": Row(
        lambda r, _s: {"off": pick(r, (0.0, -1.0)), "on": pick(r, (1.0, 3.0))}, one_hot, (2, 3), 0.5
    ),
    "GatherND": Row(
        lambda r, _s: {"many": int(r.integers(1, 33)), "depth": pick(r, (1, 1, 2))}, gather_nd
    ),
    "GatherElements": Row(
        lambda r, s: {"axis": axis_of(r, s), "picks": int(r.integers(1, 17))}, gather_elements
    ),
    "Scatter": Row(_draw_scatter, scatter, (2, 3, 4), weight=1.5),
    "Trilu": Row(
        lambda r, _s: {"k": pick(r, (0, 0, 1, -2)), "upper": chance(r, 0.5)}, trilu, (3, 4), 0.5
    ),
    "GridSample": Row(_draw_grid, grid_sample, (4,), weight=1),
    "Rounded": Row(
        lambda r, _s: {
            "op": pick(r, ("Floor", "Ceil", "Round", "Sign")),
            "times": pick(r, (1.0, 3.7)),
            "rest": chance(r, 0.5),
        },
        rounded,
        (2, 3, 4, 5),
    ),
}
