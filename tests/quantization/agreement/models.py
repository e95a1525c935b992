"""Small Q/DQ and float models that the NPU computes wrongly (simulator of QAIRT 2.51)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import onnx_ir as ir
from onnx import helper, numpy_helper

Feeds = tuple[dict[str, np.ndarray], ...]


class QdqNet:
    """A chain with Q and DQ around every tensor, written by hand.

    Args:
        shape: of the input `x`.
        dtype: integer type of all activations.
    """

    def __init__(self, shape: Sequence[int], dtype: type, limit: float = 4.0) -> None:
        self.shape, self.dtype = tuple(shape), dtype
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.random = np.random.default_rng(1)
        self.scales: dict[str, float] = {}
        self.last = self.held("x", limit)

    def constant(self, name: str, array: object, dtype: type) -> str:
        """Adds a constant."""
        self.constants.append(numpy_helper.from_array(np.asarray(array, dtype), name))
        return name

    def held(self, name: str, limit: float, low: float | None = None) -> str:
        """Q and DQ over `[low, limit]`, from `-limit` where no low end is given."""
        start = -limit if low is None else low
        steps = np.iinfo(self.dtype).max
        step = (limit - start) / steps
        scale = self.constant(f"{name}_scale", step, np.float32)
        zero = self.constant(f"{name}_zero", round(-start / step), self.dtype)
        self.add("QuantizeLinear", [name, scale, zero], f"{name}_codes")
        self.scales[f"{name}_held"] = step
        return self.add("DequantizeLinear", [f"{name}_codes", scale, zero], f"{name}_held")

    def add(self, op_type: str, inputs: list[str], output: str, **attributes: object) -> str:
        """Adds a node named as its output."""
        self.nodes.append(helper.make_node(op_type, inputs, [output], output, **attributes))
        return output

    def conv(self, name: str, limit: float) -> str:
        """A convolution of 3 x 3 with int8 weights and a bias, and its Q and DQ."""
        channels = self.shape[1]
        size = (channels, channels, 3, 3)
        weight = self.random.normal(size=size) * 1.2 / np.sqrt(9 * channels)
        scale = np.abs(weight).max(axis=(1, 2, 3)) / 127
        codes = np.rint(weight / scale[:, None, None, None])
        step = scale * self.scales[self.last]
        bias = np.rint(self.random.normal(size=channels) * 0.5 / step)
        held = []
        for part, values, factor, dtype in (
            ("weight", codes, scale, np.int8),
            ("bias", bias, step, np.int32),
        ):
            inputs = [
                self.constant(f"{name}_{part}_codes", values, dtype),
                self.constant(f"{name}_{part}_scale", factor, np.float32),
                self.constant(f"{name}_{part}_zero", np.zeros(channels), dtype),
            ]
            held.append(self.add("DequantizeLinear", inputs, f"{name}_{part}", axis=0))
        self.add("Conv", [self.last, *held], name, pads=[1, 1, 1, 1])
        self.last = self.held(name, limit)
        return self.last

    def model(self, output: str, shape: Sequence[int]) -> ir.Model:
        """The model that gives `output`."""
        return _model(self.nodes, self.constants, self.shape, output, shape)

    def feeds(self, count: int = 2) -> Feeds:
        """Samples of N(0, 1)."""
        return tuple(
            {"x": self.random.normal(size=self.shape).astype(np.float32)} for _ in range(count)
        )


def gated(height: int = 10) -> tuple[ir.Model, Feeds]:
    """Two convolutions, the second with a gate of its own Sigmoid, at 16 bits.

    At heights of 9 to 12 the NPU's values are some 4 dB from the CPU's.
    """
    net = QdqNet((1, 16, height, 10), np.uint16)
    net.conv("first", 5.0)
    net.add("Tanh", [net.last], "bent")
    net.last = net.held("bent", 1.0)
    conv = net.conv("second", 6.0)
    net.add("Sigmoid", [conv], "gate")
    gate = net.held("gate", 1.0, 0.0)
    net.add("Mul", [conv, gate], "product")
    return net.model(net.held("product", 6.0, -0.5), net.shape), net.feeds()


def float_net(
    nodes: Sequence[tuple[str, list[str], str]],
    shape: Sequence[int],
    output: Sequence[int],
    constants: Mapping[str, np.ndarray],
) -> tuple[ir.Model, Feeds]:
    """A float model of nodes as operator, inputs and output `y`, and samples of N(0, 1)."""
    made = [helper.make_node(op, inputs, [name], name) for op, inputs, name in nodes]
    held = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    random = np.random.default_rng(0)
    feeds = tuple({"x": random.normal(size=shape).astype(np.float32)} for _ in range(2))
    return _model(made, held, shape, nodes[-1][2], output), feeds


def overflowing_norm() -> tuple[ir.Model, Feeds]:
    """An RMS norm by hand of numbers whose squares 16-bit floating point cannot hold."""
    nodes = [
        ("Mul", ["x", "thousand"], "scaled"),
        ("Mul", ["scaled", "scaled"], "squares"),
        ("ReduceMean", ["squares", "axes"], "mean"),
        ("Sqrt", ["mean"], "root"),
        ("Div", ["scaled", "root"], "y"),
    ]
    constants = {"thousand": np.float32(1000).reshape(()), "axes": np.array([2])}
    return float_net(nodes, (1, 4, 256), (1, 4, 256), constants)


def _model(
    nodes: Sequence[onnx.NodeProto],
    constants: Sequence[onnx.TensorProto],
    shape: Sequence[int],
    output: str,
    result: Sequence[int],
) -> ir.Model:
    graph = helper.make_graph(
        list(nodes),
        "net",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, result)],
        list(constants),
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return ir.serde.deserialize_model(onnx.shape_inference.infer_shapes(proto))
