"""What moves data: Concat, Slice, Split, Pad, Resize, Gather, Transpose, Reshape."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from benchmarks.hunt.operators.table import Rng, Row, along, axis_of, chance, nothing, pick
from benchmarks.hunt.recipe import Builder, ImpossibleError, Settings, Shape, Value


def concat(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """Concat of two computed tensors."""
    a, b = x
    axis = s["axis"]
    if len(a.shape) != len(b.shape) or along(a.shape, axis, 1) != along(b.shape, axis, 1):
        raise ImpossibleError("shapes")
    length = a.shape[axis] + b.shape[axis]
    return g.apply("Concat", [a, b], along(a.shape, axis, length), axis=axis)


def filled(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """Concat with a constant of one number, or of many, in front or behind."""
    given, axis = x[0], s["axis"]
    shape = along(given.shape, axis, s["length"])
    filling = np.full(shape, s["number"]) if s["flat"] else g.rng.standard_normal(shape)
    parts = [given, g.constant(filling)]
    if s["front"]:
        parts.reverse()
    joined = along(given.shape, axis, given.shape[axis] + s["length"])
    return g.apply("Concat", parts, joined, axis=axis)


def reverse(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """Slice from the end of an axis to its start."""
    inputs = [g.integers((value,)) for value in (-1, -(2**31), s["axis"], -1)]
    return g.apply("Slice", [x[0], *inputs], x[0].shape)


def crop(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """Slice along an axis; `start` and `end` are shares of its length."""
    given, axis, step = x[0], s["axis"], s["step"]
    length = given.shape[axis]
    start, end = int(s["start"] * length), math.ceil(s["end"] * length)
    if start >= end or (start, end, step) == (0, length, 1):
        raise ImpossibleError("nothing to crop")
    kept = along(given.shape, axis, -(-(end - start) // step))
    inputs = [g.integers((value,)) for value in (start, end, axis, step)]
    return g.apply("Slice", [given, *inputs], kept)


def split_join(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """Split in two, one part through an activation, and Concat again, perhaps swapped."""
    given, axis = x[0], s["axis"]
    length = given.shape[axis]
    first = max(int(length * s["share"]), 1)
    if first >= length:
        raise ImpossibleError("nothing to split")
    shapes = [along(given.shape, axis, first), along(given.shape, axis, length - first)]
    parts = g.several("Split", [given, g.integers((first, length - first))], shapes, axis=axis)
    parts[0] = g.apply(s["function"], [parts[0]], shapes[0])
    if s["swap"]:
        parts.reverse()
    return g.apply("Concat", parts, given.shape, axis=axis)


def pad(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """Pad of the last two axes, or of the channels."""
    given, rank = x[0], len(x[0].shape)
    pads = [0] * (2 * rank)
    for axis, (before, behind) in zip(s["axes"], s["amounts"], strict=True):
        pads[axis + rank], pads[axis + 2 * rank] = before, behind
        if s["mode"] == "reflect" and max(before, behind) >= given.shape[axis]:
            raise ImpossibleError("more than there is to reflect")
    shape = tuple(n + pads[i] + pads[rank + i] for i, n in enumerate(given.shape))
    inputs = [given, g.integers(pads)]
    if s["mode"] == "constant" and s["value"]:
        inputs.append(g.constant(s["value"]))
    return g.apply("Pad", inputs, shape, mode=s["mode"])


def resize(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """Resize of a map, by scales or to sizes."""
    n, c, h, w = x[0].shape
    height, width = (max(int(size * s["factor"]), 1) for size in (h, w))
    attributes = {
        "mode": s["mode"],
        "coordinate_transformation_mode": s["coordinates"],
        "nearest_mode": "floor" if s["mode"] == "nearest" else None,
    }
    if not s["by_sizes"] and min(h, w) * s["factor"] < 1:
        raise ImpossibleError("nothing left")
    if s["by_sizes"]:
        inputs = [x[0], "", "", g.integers((n, c, height, width))]
    else:
        inputs = [x[0], "", g.constant((1, 1, s["factor"], s["factor"]))]
    return g.apply("Resize", inputs, (n, c, height, width), **attributes)


def depth_to_space(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """DepthToSpace."""
    n, c, h, w = x[0].shape
    block = s["block"]
    if c % (block * block):
        raise ImpossibleError("channels")
    shape = (n, c // block**2, h * block, w * block)
    return g.apply("DepthToSpace", [x[0]], shape, blocksize=block, mode=s["mode"])


def space_to_depth(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """SpaceToDepth, as an operator or as four strided slices (YOLO's Focus)."""
    n, c, h, w = x[0].shape
    if h % 2 or w % 2:
        raise ImpossibleError("odd")
    if not s["slices"]:
        return g.apply("SpaceToDepth", [x[0]], (n, c * 4, h // 2, w // 2), blocksize=2)
    parts: list[Value] = []
    for top, left in ((0, 0), (1, 0), (0, 1), (1, 1)):
        inputs = [g.integers(v) for v in ((top, left), (h, w), (2, 3), (2, 2))]
        parts.append(g.apply("Slice", [x[0], *inputs], (n, c, h // 2, w // 2)))
    return g.apply("Concat", parts, (n, c * 4, h // 2, w // 2), axis=1)


def transpose(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """Transpose; the batch stays in front."""
    perm = s["perm"]
    return g.apply("Transpose", [x[0]], tuple(x[0].shape[i] for i in perm), perm=perm)


def reshape(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """Reshape: `flat`, `tokens` (map to tokens), `heads` or `merge` of the last two axes."""
    shape = x[0].shape
    kind = s["kind"]
    if kind == "flat":
        wanted: Shape = (shape[0], math.prod(shape[1:]))
    elif kind == "merge" and len(shape) > 2:
        wanted = (*shape[:-2], shape[-2] * shape[-1])
    elif kind == "heads" and shape[-1] % s["parts"] == 0 and len(shape) < 4:
        wanted = (*shape[:-1], s["parts"], shape[-1] // s["parts"])
    elif kind == "tokens" and len(shape) == 4:
        n, c, h, w = shape
        flat = g.apply("Reshape", [x[0], g.integers((n, c, h * w))], (n, c, h * w))
        return g.apply("Transpose", [flat], (n, h * w, c), perm=[0, 2, 1])
    else:
        raise ImpossibleError("kind")
    return g.apply("Reshape", [x[0], g.integers(wanted)], wanted)


def gather(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """Gather of constant indices along an axis; one index alone takes the axis away."""
    given, axis = x[0], s["axis"]
    length = given.shape[axis]
    indices = g.rng.integers(0, length, s["picks"])
    if s["single"] and len(given.shape) > 2:
        position = axis + len(given.shape)
        shape = given.shape[:position] + given.shape[position + 1 :]
        index = g.constant(int(indices[0]), np.int64)
        return g.apply("Gather", [given, index], shape, axis=axis)
    picked = [g.integers([int(i) for i in indices])]
    return g.apply("Gather", [given, *picked], along(given.shape, axis, s["picks"]), axis=axis)


def tile(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """Tile along an axis."""
    repeats = along((1,) * len(x[0].shape), s["axis"], s["times"])
    shape = tuple(a * b for a, b in zip(x[0].shape, repeats, strict=True))
    return g.apply("Tile", [x[0], g.integers(repeats)], shape)


def shuffle(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """ShuffleNet's channel shuffle."""
    n, c, h, w = x[0].shape
    parts = s["parts"]
    if c % parts:
        raise ImpossibleError("channels")
    wide = (n, parts, c // parts, h, w)
    found = g.apply("Reshape", [x[0], g.integers(wide)], wide)
    turned = (n, c // parts, parts, h, w)
    found = g.apply("Transpose", [found], turned, perm=[0, 2, 1, 3, 4])
    return g.apply("Reshape", [found, g.integers((n, c, h, w))], (n, c, h, w))


def _draw_filling(rng: Rng, shape: Shape) -> Settings:
    return {
        "axis": axis_of(rng, shape),
        "length": pick(rng, (1, 1, 2, 5, 32)),
        "number": pick(rng, (0.0, 0.0, 1.0, -3.0)),
        "flat": chance(rng, 0.7),
        "front": chance(rng, 0.3),
    }


def _draw_crop(rng: Rng, shape: Shape) -> Settings:
    start, end = sorted(round(float(value), 2) for value in rng.random(2))
    if chance(rng, 0.3):
        start, end = 0.0, 1.0
    return {
        "axis": axis_of(rng, shape),
        "start": start,
        "end": end,
        "step": pick(rng, (1, 1, 2, 3)),
    }


def _draw_split(rng: Rng, shape: Shape) -> Settings:
    return {
        "axis": axis_of(rng, shape),
        "share": pick(rng, (0.5, 0.5, 0.25, 0.1)),
        "function": pick(rng, ("Relu", "Sigmoid", "Tanh", "Neg", "Exp", "HardSwish")),
        "swap": chance(rng, 0.3),
    }


def _draw_pad(rng: Rng, shape: Shape) -> Settings:
    axes = [-2, -1] if chance(rng, 0.6) else [axis_of(rng, shape)]
    if chance(rng, 0.2):
        axes = [int(place) - len(shape) for place in range(1, len(shape))]
    return {
        "axes": axes,
        "amounts": [[_width(rng), _width(rng)] for _ in axes],
        "mode": pick(rng, ("constant", "constant", "reflect", "edge")),
        "value": pick(rng, (0.0, 0.0, 1.0, -3.0)),
    }


def _width(rng: Rng) -> int:
    return 0 if chance(rng, 0.3) else int(rng.integers(0, 4))


def _draw_resize(rng: Rng, _shape: Shape) -> Settings:
    mode = pick(rng, ("nearest", "linear", "linear", "cubic"))
    modes = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric")
    return {
        "mode": mode,
        "coordinates": "asymmetric" if mode == "nearest" and chance(rng, 0.7) else pick(rng, modes),
        "factor": pick(rng, (2.0, 2.0, 3.0, 4.0, 1.5, 0.5)),
        "by_sizes": chance(rng, 0.5),
    }


def _draw_perm(rng: Rng, shape: Shape) -> Settings:
    return {"perm": [0, *(int(i) + 1 for i in rng.permutation(len(shape) - 1))]}


def _draw_reshape(rng: Rng, _shape: Shape) -> Settings:
    kind = pick(rng, ("flat", "merge", "heads", "tokens", "tokens"))
    return {"kind": kind, "parts": pick(rng, (2, 4, 8))}


def _draw_gather(rng: Rng, shape: Shape) -> Settings:
    picks = int(rng.integers(1, 65))
    return {"axis": axis_of(rng, shape), "picks": picks, "single": chance(rng, 0.3)}


MOVEMENT = {
    "Concat": Row(lambda r, s: {"axis": axis_of(r, s)}, concat, weight=3, operands=2),
    "ConcatConstant": Row(_draw_filling, filled, weight=1),
    "Reverse": Row(lambda r, s: {"axis": axis_of(r, s)}, reverse, weight=0.5),
    "Slice": Row(_draw_crop, crop, weight=2),
    "Split": Row(_draw_split, split_join, weight=2),
    "Pad": Row(_draw_pad, pad, weight=1.5),
    "Resize": Row(_draw_resize, resize, (4,), weight=2),
    "DepthToSpace": Row(
        lambda r, _s: {"block": 2, "mode": pick(r, ("DCR", "CRD"))}, depth_to_space, (4,), 0.7
    ),
    "SpaceToDepth": Row(lambda r, _s: {"slices": chance(r, 0.5)}, space_to_depth, (4,), 0.7),
    "Transpose": Row(_draw_perm, transpose, (3, 4, 5), 1.5),
    "Reshape": Row(_draw_reshape, reshape, weight=2),
    "Gather": Row(_draw_gather, gather, weight=1.5),
    "Tile": Row(lambda r, s: {"axis": axis_of(r, s), "times": pick(r, (2, 3))}, tile, weight=0.5),
    "ChannelShuffle": Row(lambda r, _s: {"parts": pick(r, (2, 3, 4))}, shuffle, (4,), 0.7),
    "Flatten": Row(
        nothing,
        lambda g, x, _s: g.apply("Flatten", [x[0]], (x[0].shape[0], math.prod(x[0].shape[1:]))),
        (3, 4, 5),
        0.5,
    ),
}
