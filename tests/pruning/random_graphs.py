"""Random small networks of the operators that carry channels, for property tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from hypothesis import strategies as st

from snapq.graph.shapes import freeze
from tests.quantization.odd_models import Builder

SIZE = 6
INTS = np.int64


@dataclass
class Net:
    """A picture-shaped value `[1, channels, SIZE, SIZE]` that grows by random blocks."""

    build: Builder
    draw: Callable
    value: str
    channels: int

    def conv(self, outputs: int, kernel: int = 1, group: int = 1, bias: bool = True) -> str:
        weight = self.build.normal(outputs, self.channels // group, kernel, kernel)
        pads = [kernel // 2] * 4
        inputs = [self.value, weight, *([self.build.normal(outputs)] if bias else [])]
        return self.build.add("Conv", *inputs, pads=pads, group=group)


def ints(*values: int) -> np.ndarray:
    return np.array(values, INTS)


def plain(net: Net) -> None:
    outputs = net.draw(st.sampled_from([4, 6, 8, 12]))
    net.value = net.conv(outputs, net.draw(st.sampled_from([1, 3])), bias=net.draw(st.booleans()))
    net.channels = outputs
    net.value = net.build.add(net.draw(st.sampled_from(["Relu", "Sigmoid", "Exp"])), net.value)


def depthwise(net: Net) -> None:
    multiple = net.draw(st.sampled_from([1, 2]))
    net.value = net.conv(net.channels * multiple, 3, net.channels)
    net.channels *= multiple


def grouped(net: Net) -> None:
    net.value = net.conv(net.channels * 2, 3, 2)
    net.channels *= 2


def residual(net: Net) -> None:
    before = net.value
    net.value = net.build.add("Relu", net.conv(net.channels, 3))
    net.value = net.build.add("Add", net.conv(net.channels), before)


def squeeze_excite(net: Net) -> None:
    build, data = net.build, net.value
    mean = build.add("ReduceMean", data, ints(2, 3), keepdims=1)
    inner = Net(build, net.draw, mean, net.channels)
    inner.value, inner.channels = build.add("Relu", inner.conv(4)), 4
    scale = build.add("HardSigmoid", inner.conv(net.channels))
    net.value = build.add("Mul", data, scale)


def dense(net: Net) -> None:
    more = net.conv(4, 3)
    net.value = net.build.add("Concat", net.value, more, axis=1)
    net.channels += 4


def split(net: Net) -> None:
    first = net.channels // 2 - net.draw(st.integers(0, 1))
    parts = net.build.add("Split", net.value, ints(first, net.channels - first), outputs=2, axis=1)
    changed = Net(net.build, net.draw, parts[0], first).conv(first, 3)
    net.value = net.build.add("Concat", parts[1], changed, axis=1)


def sliced(net: Net) -> None:
    start = net.draw(st.integers(0, 2))
    net.value = net.build.add("Slice", net.value, ints(start), ints(1 << 40), ints(1))
    net.channels -= start


def padded(net: Net) -> None:
    net.value = net.build.add("Pad", net.value, ints(0, 1, 0, 0, 0, 2, 0, 0))
    net.channels += 3


def picked(net: Net) -> None:
    order = np.random.default_rng(net.channels).permutation(net.channels)
    net.value = net.build.add("Gather", net.value, order.astype(INTS), axis=1)


def shuffled(net: Net) -> None:
    build = net.build
    shape = ints(1, 2, net.channels // 2, SIZE, SIZE)
    turned = build.add("Transpose", build.add("Reshape", net.value, shape), perm=[0, 2, 1, 3, 4])
    net.value = build.add("Reshape", turned, ints(1, -1, SIZE, SIZE))


def normalized(net: Net) -> None:
    kind = net.draw(st.sampled_from(["BatchNormalization", "InstanceNormalization"]))
    scale, bias = net.build.normal(net.channels), net.build.normal(net.channels)
    more = [bias, np.abs(scale) + 0.5] if kind == "BatchNormalization" else []
    net.value = net.build.add(kind, net.value, scale, bias, *more)


def by_hand(net: Net) -> None:
    """GroupNormalization as exporters write it: Reshape, InstanceNormalization, Reshape back."""
    build = net.build
    rows = build.add("Reshape", net.value, ints(1, 2, -1))
    ones = np.ones(2, np.float32)
    normal = build.add("InstanceNormalization", rows, ones, np.zeros(2, np.float32))
    net.value = build.add("Reshape", normal, ints(1, net.channels, SIZE, SIZE))


def resized(net: Net) -> None:
    build = net.build
    sizes = ints(1, net.channels, 2 * SIZE, 2 * SIZE)
    large = build.add("Resize", net.value, "", "", sizes, mode="nearest")
    net.value = build.add("AveragePool", large, kernel_shape=[2, 2], strides=[2, 2])


def upscaled(net: Net) -> None:
    outputs = 4
    weight = net.build.normal(net.channels, outputs, 2, 2)
    large = net.build.add("ConvTranspose", net.value, weight, net.build.normal(4), strides=[2, 2])
    folded = net.build.add("SpaceToDepth", large, blocksize=2)
    net.value, net.channels = folded, outputs * 4


def feed_forward(net: Net) -> None:
    """Positions as rows, a hidden layer, LayerNormalization, and back."""
    build, channels = net.build, net.channels
    rows = build.add("Transpose", net.value, perm=[0, 2, 3, 1])
    rows = build.add("Reshape", rows, ints(1, SIZE * SIZE, channels))
    hidden = build.add("MatMul", rows, build.normal(channels, 10))
    hidden = build.add("Gelu", build.add("Add", hidden, build.normal(10)))
    rows = build.add("Add", build.add("MatMul", hidden, build.normal(10, channels)), rows)
    scale, bias = build.normal(channels), build.normal(channels)
    rows = build.add("LayerNormalization", rows, scale, bias, axis=-1)
    back = build.add("Transpose", rows, perm=[0, 2, 1])
    net.value = build.add("Reshape", back, ints(1, channels, SIZE, SIZE))


def attention(net: Net) -> None:
    """Queries, keys and values of two heads from one product, in either order of the axes."""
    build, channels = net.build, net.channels
    heads, size, steps = 2, 3, SIZE * SIZE
    flat = build.add("Reshape", net.value, ints(1, channels, steps))
    rows = build.add("Transpose", flat, perm=[0, 2, 1])
    joint = build.add("MatMul", rows, build.normal(channels, 3 * heads * size))
    parted = build.add("Reshape", joint, ints(1, steps, 3, heads, size))
    turned = build.add("Transpose", parted, perm=[2, 0, 3, 1, 4])
    query, key, value = (
        build.add("Gather", turned, np.array(index, INTS), axis=0) for index in range(3)
    )
    scores = build.add("MatMul", query, build.add("Transpose", key, perm=[0, 1, 3, 2]))
    mixed = build.add("MatMul", build.add("Softmax", scores, axis=-1), value)
    joined = build.add("Transpose", mixed, perm=[0, 2, 1, 3])
    rows = build.add("Reshape", joined, ints(1, steps, heads * size))
    rows = build.add("MatMul", rows, build.normal(heads * size, channels))
    back = build.add("Transpose", rows, perm=[0, 2, 1])
    net.value = build.add("Reshape", back, ints(1, channels, SIZE, SIZE))


BLOCKS = (
    *(plain, plain, depthwise, grouped, residual, squeeze_excite, dense, split, sliced, padded),
    *(picked, shuffled, normalized, by_hand, resized, upscaled, feed_forward, attention),
)
EVEN = {grouped, shuffled, by_hand}
"""Blocks that halve their channels."""


@st.composite
def networks(draw: Callable, least: int = 2, most: int = 6) -> ir.Model:
    """A network `[1, 3, SIZE, SIZE]` -> `[1, 5]` of random blocks between two convolutions."""
    build = Builder()
    net = Net(build, draw, build.feed("picture", 1, 3, SIZE, SIZE), 3)
    plain(net)
    for block in draw(st.lists(st.sampled_from(BLOCKS), min_size=least, max_size=most)):
        if net.channels > 40 or (block in EVEN and net.channels % 2):
            plain(net)
        block(net)
    net.value = net.conv(4)
    flat = build.add("Flatten", net.value)
    logits = build.add("Gemm", flat, build.normal(5, 4 * SIZE * SIZE), build.normal(5), transB=1)
    return freeze(build.model(logits), {})
