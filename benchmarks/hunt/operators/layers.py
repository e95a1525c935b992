"""Layers with weights: convolutions, Gemm and MatMul."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.hunt.operators.table import Rng, Row, chance, pick, size
from benchmarks.hunt.recipe import Builder, ImpossibleError, Settings, Shape, Value

_KINDS = ("normal",) * 8 + ("selection", "ternary", "positive", "wide")


def weight(g: Builder, shape: Shape, kind: str, fan_in: int) -> str:
    """A weight: random, a selection of inputs, of -1, 0, 1, positive, or of uneven channels."""
    normal = g.rng.standard_normal(shape) / math.sqrt(max(fan_in, 1))
    if kind == "selection":
        flat = np.zeros((shape[0], max(math.prod(shape[1:]), 1)))
        flat[np.arange(shape[0]), g.rng.integers(0, flat.shape[1], shape[0])] = 1.0
        return g.constant(flat.reshape(shape))
    if kind == "ternary":
        return g.constant(g.rng.integers(-1, 2, shape))
    if kind == "positive":
        return g.constant(np.abs(normal))
    if kind == "wide":
        return g.constant(
            normal * np.geomspace(0.02, 4, shape[0]).reshape(-1, *[1] * (len(shape) - 1))
        )
    return g.constant(normal)


def _conv_settings(rng: Rng, shape: Shape) -> dict[str, Any]:
    spatial = len(shape) - 2
    kernel = [pick(rng, (1, 1, 2, 3, 3, 3, 4, 5, 7))] * spatial
    if spatial == 2 and chance(rng, 0.2):
        kernel[int(rng.integers(2))] = 1
    strides = [pick(rng, (1, 1, 1, 2, 2, 3))] * spatial
    if chance(rng, 0.1):
        strides[-1] = pick(rng, (1, 2))
    same = [(k - 1) // 2 for k in kernel]
    pads = same * 2 if chance(rng, 0.7) else [int(rng.integers(0, k)) for k in kernel * 2]
    return {
        "kernel": kernel,
        "strides": strides,
        "pads": pads,
        "dilations": [pick(rng, (1, 1, 1, 1, 2))] * spatial,
        "bias": chance(rng, 0.8),
        "weights": pick(rng, _KINDS),
    }


def _channels(rng: Rng, shape: Shape) -> int:
    """Of a layer's result: where there are many, as many or twice or four times so."""
    given = shape[1] if len(shape) > 3 else shape[-1]
    if given >= 48 and chance(rng, 0.6):
        return int(pick(rng, (given // 4, given, given * 2, given * 4)))
    return size(rng)


def draw_conv(rng: Rng, shape: Shape) -> Settings:
    """A convolution, seldom in groups."""
    groups = [k for k in (1, 2, 3, 4, 8) if shape[1] % k == 0]
    group = pick(rng, groups) if chance(rng, 0.15) else 1
    out = max(_channels(rng, shape) // group, 1) * group
    return {"out": out, "group": group, **_conv_settings(rng, shape)}


def draw_depthwise(rng: Rng, shape: Shape) -> Settings:
    """A depthwise convolution."""
    return {"multiplier": 1 if chance(rng, 0.9) else 2, **_conv_settings(rng, shape)}


def conv(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """Conv."""
    return _conv(g, x[0], s, s["out"], s["group"])


def depthwise(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """Conv with a group a channel."""
    channels = x[0].shape[1]
    return _conv(g, x[0], s, channels * s["multiplier"], channels)


def _conv(g: Builder, x: Value, s: Settings, out: int, group: int) -> Value:
    kernel, n = s["kernel"], len(s["kernel"])
    if x.shape[1] % group or out % group:
        raise ImpossibleError("groups")
    spatial = []
    for i in range(n):
        span = s["dilations"][i] * (kernel[i] - 1) + 1
        length = (x.shape[2 + i] + s["pads"][i] + s["pads"][n + i] - span) // s["strides"][i] + 1
        if length < 1:
            raise ImpossibleError("kernel larger than the map")
        spatial.append(length)
    shape = (out, x.shape[1] // group, *kernel)
    if math.prod(spatial) * math.prod(shape) * x.shape[0] > g.limits.macs:
        raise ImpossibleError("too many MACs")
    inputs = [x, weight(g, shape, s["weights"], math.prod(shape[1:]))]
    if s["bias"]:
        inputs.append(g.constant(g.rng.standard_normal(out) * 0.3))
    return g.apply(
        "Conv",
        inputs,
        (x.shape[0], out, *spatial),
        kernel_shape=kernel,
        strides=s["strides"],
        pads=s["pads"],
        dilations=s["dilations"],
        group=group,
    )


def draw_transposed(rng: Rng, shape: Shape) -> Settings:
    """A transposed convolution, full or depthwise."""
    spatial = len(shape) - 2
    stride = pick(rng, (1, 2, 2, 2, 3))
    kernel = pick(rng, (1, 2, 2, 3, 4, 5))
    return {
        "out": _channels(rng, shape),
        "depthwise": chance(rng, 0.25),
        "kernel": [kernel] * spatial,
        "strides": [stride] * spatial,
        "pads": [int(rng.integers(0, (kernel + 1) // 2))] * spatial * 2,
        "output_padding": [int(rng.integers(0, stride)) if chance(rng, 0.3) else 0] * spatial,
        "bias": chance(rng, 0.8),
        "weights": pick(rng, _KINDS),
    }


def transposed(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """ConvTranspose."""
    given, n = x[0], len(s["kernel"])
    channels = given.shape[1]
    group, out = (channels, channels) if s["depthwise"] else (1, s["out"])
    spatial = [
        (given.shape[2 + i] - 1) * s["strides"][i]
        + s["kernel"][i]
        - s["pads"][i]
        - s["pads"][n + i]
        + s["output_padding"][i]
        for i in range(n)
    ]
    shape = (channels, out // group, *s["kernel"])
    if min(spatial) < 1 or math.prod(given.shape[2:]) * math.prod(shape) > g.limits.macs:
        raise ImpossibleError("size")
    inputs = [given, weight(g, shape, s["weights"], channels // group)]
    if s["bias"]:
        inputs.append(g.constant(g.rng.standard_normal(out) * 0.3))
    return g.apply(
        "ConvTranspose",
        inputs,
        (given.shape[0], out, *spatial),
        kernel_shape=s["kernel"],
        strides=s["strides"],
        pads=s["pads"],
        output_padding=s["output_padding"],
        group=group,
    )


def draw_gemm(rng: Rng, shape: Shape) -> Settings:
    """A fully connected layer."""
    return {
        "out": _channels(rng, shape),
        "transposed": chance(rng, 0.6),
        "bias": chance(rng, 0.8),
        "alpha": pick(rng, (1.0, 1.0, 1.0, 0.5)),
        "weights": pick(rng, _KINDS),
    }


def gemm(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """Gemm."""
    given, out = x[0], s["out"]
    shape = (out, given.shape[1]) if s["transposed"] else (given.shape[1], out)
    inputs = [given, weight(g, shape, s["weights"], given.shape[1])]
    if s["bias"]:
        inputs.append(g.constant(g.rng.standard_normal(out) * 0.3))
    kept = {"alpha": s["alpha"], "transB": int(s["transposed"])}
    return g.apply("Gemm", inputs, (given.shape[0], out), **kept)


def matmul(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """MatMul with a weight, as exporters write a linear layer of tokens, and Add of its bias."""
    given, out = x[0], s["out"]
    shape = (given.shape[-1], out)
    if math.prod(given.shape) * out > g.limits.macs:
        raise ImpossibleError("too many MACs")
    inner = weight(g, shape, s["weights"], given.shape[-1])
    found = g.apply("MatMul", [given, inner], (*given.shape[:-1], out))
    if s["bias"]:
        bias = g.constant(g.rng.standard_normal(out) * 0.3)
        found = g.apply("Add", [found, bias], found.shape)
    return found


def gram(g: Builder, x: Sequence[Value], _s: Settings) -> Value:
    """MatMul of a tensor and its transpose: both operands are computed."""
    given = x[0]
    rank, last, rows = len(given.shape), given.shape[-1], given.shape[-2]
    perm = [*range(rank - 2), rank - 1, rank - 2]
    other = g.apply("Transpose", [given], (*given.shape[:-2], last, rows), perm=perm)
    return g.apply("MatMul", [given, other], (*given.shape[:-2], rows, rows))


LAYERS = {
    "Conv": Row(draw_conv, conv, (3, 4), 8),
    "DepthwiseConv": Row(draw_depthwise, depthwise, (3, 4), 4),
    "ConvTranspose": Row(draw_transposed, transposed, (3, 4), 2),
    "Gemm": Row(draw_gemm, gemm, (2,), 6),
    "Linear": Row(draw_gemm, matmul, (2, 3, 4), 4),
    "Gram": Row(lambda _rng, _shape: {}, gram, (3, 4), 0.7),
}
