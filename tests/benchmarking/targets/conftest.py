"""Tiny models: one convolution, as float and as the Q/DQ model that takes raw NHWC bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

SHAPE = (1, 8, 16, 16)
_SCALE = np.float32(0.02)
_ZERO = np.uint8(128)


@pytest.fixture(scope="session")
def float_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _save(tmp_path_factory.mktemp("models") / "float.onnx", _float())


@pytest.fixture(scope="session")
def bytes_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _save(tmp_path_factory.mktemp("models") / "bytes.onnx", _bytes())


@pytest.fixture
def float_feeds() -> dict[str, np.ndarray]:
    return {"x": np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)}


@pytest.fixture
def bytes_feeds(float_feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    codes = np.clip(np.round(float_feeds["x"] / _SCALE) + _ZERO, 0, 255)
    return {"x": codes.astype(np.uint8).transpose(0, 2, 3, 1)}


def _weights() -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.1, 0.1, (16, 8, 3, 3)).astype(np.float32)


def _float() -> onnx.GraphProto:
    conv = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])
    return helper.make_graph(
        [conv],
        "float",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 16, 16, 16))],
        [numpy_helper.from_array(_weights(), "w")],
    )


def _bytes() -> onnx.GraphProto:
    weights = _weights()
    scales = np.abs(weights).max(axis=(1, 2, 3)) / 127
    codes = np.round(weights / scales[:, None, None, None]).astype(np.int8)
    nodes = [
        helper.make_node("Transpose", ["x"], ["x_nchw"], perm=[0, 3, 1, 2]),
        helper.make_node("DequantizeLinear", ["x_nchw", "scale", "zero"], ["x_float"]),
        helper.make_node("DequantizeLinear", ["w", "w_scale", "w_zero"], ["w_float"], axis=0),
        helper.make_node("Conv", ["x_float", "w_float"], ["y_float"], pads=[1, 1, 1, 1]),
        helper.make_node("QuantizeLinear", ["y_float", "scale", "zero"], ["y_codes"]),
        helper.make_node("DequantizeLinear", ["y_codes", "scale", "zero"], ["y"]),
    ]
    constants = {
        "scale": np.array(_SCALE),
        "zero": np.array(_ZERO),
        "w": codes,
        "w_scale": scales,
        "w_zero": np.zeros(16, np.int8),
    }
    return helper.make_graph(
        nodes,
        "bytes",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, (1, 16, 16, 8))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 16, 16, 16))],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )


def _save(path: Path, graph: onnx.GraphProto) -> Path:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path
