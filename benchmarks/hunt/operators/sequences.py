"""Recurrent layers, products by equation, and volumes: five dimensions, and the way there."""

from __future__ import annotations

import string
from collections.abc import Sequence
from functools import partial

from benchmarks.hunt.operators.table import Rng, Row, chance, pick
from benchmarks.hunt.recipe import Builder, ImpossibleError, Settings, Shape, Value

_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
_MOST_STEPS = 16


def recurrent(op_type: str, g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """LSTM, GRU or RNN over `[batch, steps, features]`; all states, or the last one."""
    n, steps, features = x[0].shape
    if steps > _MOST_STEPS:
        raise ImpossibleError("too many steps")
    hidden, both = s["hidden"], 2 if s["direction"] == "bidirectional" else 1
    wide = _GATES[op_type] * hidden
    turned = g.apply("Transpose", [x[0]], (steps, n, features), perm=[1, 0, 2])
    weights = [
        g.constant(g.rng.standard_normal((both, wide, features)) / features**0.5),
        g.constant(g.rng.standard_normal((both, wide, hidden)) / hidden**0.5),
    ]
    if s["bias"]:
        weights.append(g.constant(g.rng.standard_normal((both, 2 * wide)) * 0.3))
    shapes = [(steps, both, n, hidden), (both, n, hidden)]
    extra = {"linear_before_reset": int(s["reset"])} if op_type == "GRU" else {}
    every, last = g.several(
        op_type, [turned, *weights], shapes, hidden_size=hidden, direction=s["direction"], **extra
    )
    if s["last"]:
        found = g.apply("Transpose", [last], (n, both, hidden), perm=[1, 0, 2])
    else:
        found = g.apply("Transpose", [every], (n, steps, both, hidden), perm=[2, 0, 1, 3])
    wanted = (n, both * hidden) if s["last"] else (n, steps, both * hidden)
    return g.apply("Reshape", [found, g.integers(wanted)], wanted)


def einsum(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """Einsum with a constant or a function of the value: one axis summed, the rest in order."""
    given, rank = x[0], len(x[0].shape)
    names = string.ascii_lowercase[:rank]
    axis = s["axis"] % rank
    summed = names[axis]
    if s["computed"]:
        other = g.apply("Tanh", [given], given.shape)
        second = names.replace(names[1], "z") if axis != 1 else names
        if axis == 1:
            if rank < 3:
                raise ImpossibleError("one axis alone would be left")
            return _einsum(g, given, other, f"{names},{names}->{names.replace(summed, '')}")
        result = names.replace(summed, "") + "z"
        sizes = dict(zip(names, given.shape, strict=True)) | {"z": given.shape[1]}
        shape = tuple(sizes[letter] for letter in result)
        return g.apply("Einsum", [given, other], shape, equation=f"{names},{second}->{result}")
    weight = g.constant(g.rng.standard_normal((given.shape[axis], s["out"])))
    result = names.replace(summed, "z") if s["stay"] else names.replace(summed, "") + "z"
    sizes = dict(zip(names, given.shape, strict=True)) | {"z": s["out"]}
    shape = tuple(sizes[letter] for letter in result)
    return g.apply("Einsum", [given, weight], shape, equation=f"{names},{summed}z->{result}")


def _einsum(g: Builder, a: Value, b: Value, equation: str) -> Value:
    given, result = equation.split(",")[0], equation.split("->")[1]
    sizes = dict(zip(given, a.shape, strict=True))
    return g.apply("Einsum", [a, b], tuple(sizes[one] for one in result), equation=equation)


def unfold(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """Unsqueeze, or an axis of the value in two: one dimension more."""
    given, axis = x[0], s["axis"] % len(x[0].shape)
    if s["ones"]:
        shape = (*given.shape[:axis], 1, *given.shape[axis:])
        return g.apply("Unsqueeze", [given, g.integers((axis,))], shape)
    if given.shape[axis] % s["parts"]:
        raise ImpossibleError("parts")
    two = (s["parts"], given.shape[axis] // s["parts"])
    shape = (*given.shape[:axis], *two, *given.shape[axis + 1 :])
    return g.apply("Reshape", [given, g.integers(shape)], shape)


def fold(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """Two neighboring axes as one."""
    given, axis = x[0], s["axis"] % (len(x[0].shape) - 1)
    joined = given.shape[axis] * given.shape[axis + 1]
    shape = (*given.shape[:axis], joined, *given.shape[axis + 2 :])
    return g.apply("Reshape", [given, g.integers(shape)], shape)


def volume(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """Conv, MaxPool or AveragePool over a volume `[N, C, D, H, W]`."""
    given, kernel = x[0], s["kernel"]
    n, c, *sizes = given.shape
    pads = kernel // 2 if s["padded"] else 0
    spatial = [(one + 2 * pads - kernel) // s["stride"] + 1 for one in sizes]
    if min(spatial) < 1 or c * s["out"] * kernel**3 > 40_000:
        raise ImpossibleError("kernel larger than the volume, or too large")
    attributes = {"kernel_shape": [kernel] * 3, "strides": [s["stride"]] * 3, "pads": [pads] * 6}
    if s["op"] != "Conv":
        return g.apply(s["op"], [given], (n, c, *spatial), **attributes)
    fan_in = c * kernel**3
    weight = g.constant(g.rng.standard_normal((s["out"], c, *[kernel] * 3)) / fan_in**0.5)
    bias = g.constant(g.rng.standard_normal(s["out"]) * 0.3)
    return g.apply("Conv", [given, weight, bias], (n, s["out"], *spatial), **attributes)


def expand(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """Expand of axes of size 1."""
    given = x[0]
    ones = [place for place, size in enumerate(given.shape) if size == 1 and place]
    if not ones:
        raise ImpossibleError("nothing to expand")
    shape = list(given.shape)
    shape[ones[s["which"] % len(ones)]] = s["times"]
    return g.apply("Expand", [given, g.integers(shape)], tuple(shape))


def _draw_recurrent(rng: Rng, _shape: Shape) -> Settings:
    return {
        "hidden": pick(rng, (1, 4, 16, 33, 64)),
        "direction": pick(rng, ("forward", "forward", "reverse", "bidirectional")),
        "bias": chance(rng, 0.8),
        "last": chance(rng, 0.3),
        "reset": chance(rng, 0.6),
    }


def _draw_einsum(rng: Rng, shape: Shape) -> Settings:
    return {
        "axis": int(rng.integers(1, len(shape))),
        "computed": chance(rng, 0.4),
        "out": pick(rng, (1, 4, 16, 33)),
        "stay": chance(rng, 0.5),
    }


def _draw_volume(rng: Rng, _shape: Shape) -> Settings:
    return {
        "op": pick(rng, ("Conv", "Conv", "MaxPool", "AveragePool")),
        "kernel": pick(rng, (1, 2, 3)),
        "stride": pick(rng, (1, 1, 2)),
        "padded": chance(rng, 0.5),
        "out": pick(rng, (1, 4, 16, 33)),
    }


def _draw_axis(rng: Rng, shape: Shape) -> Settings:
    axis = int(rng.integers(1, len(shape)))
    return {"axis": axis, "ones": chance(rng, 0.3), "parts": pick(rng, (2, 3, 4))}


SEQUENCES = {
    **{op: Row(_draw_recurrent, partial(recurrent, op), (3,), 1.5) for op in _GATES},
    "Einsum": Row(_draw_einsum, einsum, (2, 3, 4), weight=1),
    "Unfold": Row(_draw_axis, unfold, (2, 3, 4), weight=2),
    "Fold": Row(_draw_axis, fold, (3, 4, 5), weight=1.5),
    "Volume": Row(_draw_volume, volume, (5,), weight=4),
    "Expand": Row(
        lambda r, _s: {"times": pick(r, (2, 7, 32)), "which": int(r.integers(4))},
        expand,
        (2, 3, 4, 5),
    ),
}
