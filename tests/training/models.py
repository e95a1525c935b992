"""Small graphs with the structures that training has to keep, and samples for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import onnx
import onnx_ir as ir
from onnx import TensorProto, helper, numpy_helper

from snapq.graph import prepare
from snapq.precision import ActivationType, WeightType
from snapq.quantization.quantize import Scheme, quantize

SHAPE = (1, 3, 16, 16)


@dataclass(frozen=True)
class Item:
    """A sample as data sets yield it."""

    feeds: dict[str, np.ndarray]
    label: int | None = None


@dataclass
class Pictures:
    """Random pictures, made anew each time; counts how often it is read."""

    count: int
    seed: int = 0
    labels: int = 0
    readings: int = field(default=0)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Item]:
        self.readings += 1
        for index in range(self.count):
            rng = np.random.default_rng([self.seed, index])
            picture = rng.normal(0, 1, SHAPE).astype(np.float32)
            yield Item({"x": picture}, index % self.labels if self.labels else None)


def residual_network(seed: int = 0, channels: int = 16) -> ir.Model:
    """Convolutions (one depthwise), a residual, a concatenation, a pool and a classifier."""
    rng = np.random.default_rng(seed)
    c = channels

    def weight(name: str, *shape: int) -> onnx.TensorProto:
        fan_in = int(np.prod(shape[1:])) or shape[0]
        values = rng.normal(0, (2 / fan_in) ** 0.5, shape).astype(np.float32)
        return numpy_helper.from_array(values, name)

    same = {"pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], "stem", **same),
        helper.make_node("Relu", ["c1"], ["r1"], "stem_relu"),
        helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"], "depthwise", group=c, **same),
        helper.make_node("Relu", ["c2"], ["r2"], "depthwise_relu"),
        helper.make_node("Conv", ["r2", "w3", "b3"], ["c3"], "project"),
        helper.make_node("Add", ["c3", "r1"], ["a1"], "residual"),
        helper.make_node("MaxPool", ["a1"], ["p1"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node(
            "AveragePool", ["a1"], ["p2"], "mean", kernel_shape=[2, 2], strides=[2, 2]
        ),
        helper.make_node("Concat", ["p1", "p2"], ["j1"], "join", axis=1),
        helper.make_node("GlobalAveragePool", ["j1"], ["g1"], "global"),
        helper.make_node("Flatten", ["g1"], ["f1"], "flatten"),
        helper.make_node("Gemm", ["f1", "w4", "b4"], ["y"], "head", transB=1),
    ]
    constants = [
        *(weight("w1", c, 3, 3, 3), weight("b1", c)),
        *(weight("w2", c, 1, 3, 3), weight("b2", c)),
        *(weight("w3", c, c, 1, 1), weight("b3", c)),
        *(weight("w4", 10, 2 * c), weight("b4", 10)),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, list(SHAPE))
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10])
    graph = helper.make_graph(nodes, "residual", [x], [y], constants)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return prepare.prepare(ir.serde.deserialize_model(proto), {}, ()).model


def quantized(
    model: ir.Model,
    weights: WeightType = WeightType.INT8,
    activations: ActivationType = ActivationType.UINT8,
) -> ir.Model:
    """The Q/DQ graph that the quantize stage makes of it."""
    samples = (item.feeds for item in Pictures(8))
    return quantize(model, samples, Scheme(weights=weights, activations=activations)).model


def constants(model: ir.Model) -> dict[str, np.ndarray]:
    """All initializers by name."""
    return {
        name: np.asarray(value.const_value.numpy())
        for name, value in model.graph.initializers.items()
        if value.const_value is not None
    }


def shifted(model: ir.Model, amount: float) -> ir.Model:
    """A copy whose weights are off by a share of their size."""
    copy = model.clone()
    rng = np.random.default_rng(1)
    for name, value in copy.graph.initializers.items():
        array = constants(model)[name]
        if array.dtype == np.float32 and array.size > 1:
            noise = rng.normal(0, amount * array.std(), array.shape)
            value.const_value = ir.tensor((array + noise).astype(np.float32), name=name)
    return copy
