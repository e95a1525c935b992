"""Small models for the tests of snapq.npu.qnn; ONNX Runtime's tool makes the quantized ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize
from onnxruntime.quantization.execution_providers.qnn import get_qnn_qdq_config

SHAPE = (1, 8, 12, 12)
CLASSES = 10


def samples(count: int, seed: int = 0) -> Iterator[dict[str, np.ndarray]]:
    random = np.random.default_rng(seed)
    for _ in range(count):
        yield {"image": random.standard_normal(SHAPE).astype(np.float32)}


def cnn(*, middle: list[onnx.NodeProto] | None = None) -> onnx.ModelProto:
    """Conv, Relu, `middle` (from `relu_out` to `middle_out`), Conv, pooling, Gemm."""
    random = np.random.default_rng(7)

    def weight(name: str, *shape: int) -> onnx.TensorProto:
        return numpy_helper.from_array(
            (random.standard_normal(shape) * 0.2).astype(np.float32), name
        )

    after = "middle_out" if middle else "relu_out"
    nodes = [
        helper.make_node("Conv", ["image", "w1", "b1"], ["c1"], "first", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["relu_out"], "relu"),
        *(middle or []),
        helper.make_node("Conv", [after, "w2", "b2"], ["c2"], "second", pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["c2"], ["pooled"], "pool"),
        helper.make_node("Flatten", ["pooled"], ["flat"], "flatten"),
        helper.make_node("Gemm", ["flat", "w3", "b3"], ["scores"], "classify", transB=1),
    ]
    weights = [
        weight("w1", 32, 8, 3, 3),
        weight("b1", 32),
        weight("w2", 32, 32, 3, 3),
        weight("b2", 32),
        weight("w3", CLASSES, 32),
        weight("b3", CLASSES),
        numpy_helper.from_array(np.array(0.5, np.float32), "half"),
    ]
    graph = helper.make_graph(
        nodes,
        "cnn",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, CLASSES])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def unsupported() -> list[onnx.NodeProto]:
    """An operator that the NPU does not have, between the two convolutions."""
    return [helper.make_node("Mod", ["relu_out", "half"], ["middle_out"], "remainder", fmod=1)]


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self) -> None:
        self._samples = samples(4, seed=1)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._samples, None)


def quantized(source: Path, target: Path) -> Path:
    config = get_qnn_qdq_config(
        str(source),
        _Reader(),
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
    )
    quantize(str(source), str(target), config)
    return target


def with_quantized_io(source: Path, target: Path) -> Path:
    """The same Q/DQ model without Q at its input and DQ at its output."""
    model = onnx.load(str(source))
    graph = model.graph
    first = next(n for n in graph.node if n.op_type == "QuantizeLinear" and n.input[0] == "image")
    last = next(n for n in graph.node if "scores" in n.output)
    graph.node.remove(first)
    graph.node.remove(last)
    for node in graph.node:
        node.input[:] = ["image" if name == first.output[0] else name for name in node.input]
        node.output[:] = ["scores" if name == last.input[0] else name for name in node.output]
    graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    graph.output[0].type.tensor_type.elem_type = TensorProto.UINT8
    onnx.save(model, str(target))
    return target
