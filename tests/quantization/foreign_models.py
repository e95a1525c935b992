"""Q/DQ models as other tools write them, with the faults that keep them off the NPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SHAPE = (1, 8, 12, 12)


class Builder:
    """Writes a small network: convolution, Relu, depthwise convolution, Add, norm, Transpose."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.rng = np.random.default_rng(3)

    def constant(self, name: str, array: np.ndarray) -> str:
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def node(self, op: str, inputs: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], f"{output}_{op}", **attributes))
        return output

    def qdq(self, value: str, low: float, high: float, dtype: type = np.uint8) -> str:
        """The value through Q and DQ."""
        info = np.iinfo(dtype)
        scale = (high - low) / (info.max - info.min)
        stem = f"{value}_{len(self.nodes)}"
        self.constant(f"{stem}_scale", np.float32(scale))
        self.constant(f"{stem}_zero", dtype(round(info.min - low / scale)))
        parameters = [f"{stem}_scale", f"{stem}_zero"]
        self.node("QuantizeLinear", [value, *parameters], f"{stem}_QuantizeLinear")
        return self.node("DequantizeLinear", [f"{stem}_QuantizeLinear", *parameters], f"{stem}_DQ")

    def weight(self, name: str, shape: tuple[int, ...], *, stored: bool = True) -> str:
        """A weight of int8 by channel: integers and DQ, or floats with Q and DQ."""
        array = self.rng.normal(0, 0.3, shape).astype(np.float32)
        scale = (np.abs(array).max(axis=tuple(range(1, len(shape)))) / 127).astype(np.float32)
        self.constant(f"{name}_scale", scale)
        self.constant(f"{name}_zero", np.zeros(shape[0], np.int8))
        parameters = [f"{name}_scale", f"{name}_zero"]
        if not stored:
            self.constant(name, array)
            self.node("QuantizeLinear", [name, *parameters], f"{name}_q", axis=0)
            return self.node("DequantizeLinear", [f"{name}_q", *parameters], f"{name}_dq", axis=0)
        integers = np.rint(array / scale.reshape(-1, *[1] * (len(shape) - 1))).astype(np.int8)
        self.constant(f"{name}_quantized", integers)
        inputs = [f"{name}_quantized", *parameters]
        return self.node("DequantizeLinear", inputs, f"{name}_dequantized", axis=0)

    def model(self, output: str, shape: tuple[int, ...] = SHAPE) -> onnx.ModelProto:
        """The model that ends in `output`."""
        graph = helper.make_graph(
            self.nodes,
            "foreign",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)],
            self.constants,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def inputs_only(dtype: type = np.int8) -> onnx.ModelProto:
    """Only what convolutions read is quantized, biases are float (NNCF, ModelOpt)."""
    b = Builder()
    bias = b.constant("b1", b.rng.normal(0, 0.2, 8).astype(np.float32))
    w1, w2 = b.weight("w1", (8, 8, 3, 3), stored=False), b.weight("w2", (8, 1, 3, 3), stored=False)
    b.node("Conv", [b.qdq("x", -3, 3, dtype), w1, bias], "c1", pads=[1] * 4)
    b.node("Relu", ["c1"], "r1")
    b.node("Conv", [b.qdq("r1", 0, 5, dtype), w2], "c2", pads=[1] * 4, group=8)
    b.node("Add", ["c2", "r1"], "y")
    return b.model("y")


def wrong_bias() -> onnx.ModelProto:
    """The int32 bias has another scale than data times weight, as an exporter of ranges gives."""
    b = Builder()
    b.constant("b1_scale", np.float32(0.01))
    b.constant("b1_zero", np.int32(0))
    b.constant("b1_quantized", b.rng.integers(-40, 40, 8).astype(np.int32))
    bias = b.node("DequantizeLinear", ["b1_quantized", "b1_scale", "b1_zero"], "b1")
    b.node("Conv", [b.qdq("x", -3, 3), b.weight("w1", (8, 8, 3, 3)), bias], "c1", pads=[1] * 4)
    return b.model(b.node("Identity", [b.qdq("c1", -6, 6)], "y"))


def signed_norm() -> onnx.ModelProto:
    """The scale of LayerNormalization is int8, which sends it to the CPU."""
    b = Builder()
    b.constant("n_scale", np.float32(0.01))
    b.constant("n_zero", np.int8(0))
    b.constant("n_quantized", b.rng.integers(60, 127, 12).astype(np.int8))
    scale = b.node("DequantizeLinear", ["n_quantized", "n_scale", "n_zero"], "n")
    b.node("LayerNormalization", [b.qdq("x", -3, 3), scale], "l", axis=-1)
    return b.model(b.node("Identity", [b.qdq("l", -4, 4)], "y"))


def other_ranges_around_movement() -> onnx.ModelProto:
    """A Transpose whose output has another encoding than its input."""
    b = Builder()
    b.node("Relu", [b.qdq("x", -3, 3)], "r")
    b.node("Transpose", [b.qdq("r", 0, 3)], "t", perm=[0, 2, 3, 1])
    b.node("Mul", [b.qdq("t", -1, 4), b.qdq("t", -1, 4)], "m")
    return b.model(b.node("Identity", [b.qdq("m", 0, 10)], "y"), (1, 12, 12, 8))


def saturation_as_relu() -> onnx.ModelProto:
    """The Relu behind a convolution is gone: its encoding starts at zero (onnxruntime)."""
    b = Builder()
    b.node("Conv", [b.qdq("x", -3, 3, np.int8), b.weight("w1", (8, 8, 3, 3))], "c", pads=[1] * 4)
    return b.model(b.node("Identity", [b.qdq("c", 0, 6, np.int8)], "y"))


def floats_between_layers() -> onnx.ModelProto:
    """What lies between convolutions is computed in float (PT2E's X86, NNCF, ModelOpt)."""
    b = Builder()
    b.node("Conv", [b.qdq("x", -3, 3), b.weight("w1", (8, 8, 3, 3))], "c1", pads=[1] * 4)
    b.node("Mul", ["c1", "c1"], "squares")
    b.node("Sqrt", ["squares"], "y")
    return b.model("y")


def read_in_float_beside_a_q(high: float) -> onnx.ModelProto:
    """A sum reads in float what a Q between 0 and `high` saturates for a convolution."""
    b = Builder()
    b.node("Conv", [b.qdq("x", -3, 3), b.weight("w1", (8, 8, 3, 3))], "c1", pads=[1] * 4)
    b.node("Relu", ["c1"], "r1")
    b.node("Conv", [b.qdq("r1", 0, high), b.weight("w2", (8, 8, 3, 3))], "c2", pads=[1] * 4)
    b.node("Add", [b.qdq("c2", -9, 9), "r1"], "sum")
    return b.model(b.node("Identity", [b.qdq("sum", -9, 14)], "y"))


MODELS: dict[str, Callable[[], onnx.ModelProto]] = {
    "inputs-only": inputs_only,
    "wrong-bias": wrong_bias,
    "signed-norm": signed_norm,
    "movement": other_ranges_around_movement,
    "saturation": saturation_as_relu,
}


def feeds(count: int) -> Iterator[dict[str, np.ndarray]]:
    """Samples for all of them."""
    rng = np.random.default_rng(11)
    for _ in range(count):
        yield {"x": rng.normal(0, 0.9, SHAPE).astype(np.float32)}
