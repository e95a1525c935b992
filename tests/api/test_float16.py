"""Models of 16-bit floats take samples of 16 or 32 bits; compiled models are no input of stages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import snapq
from snapq.devices.profiles import find
from snapq.errors import DeviceError, ModelError
from snapq.npu.model import Model


def half_model(path: Path, dtype: int) -> Path:
    """A convolution and a Relu whose inputs, weights and outputs are of a type."""
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(4, 6, 3, 3)).astype(np.float32)
    proto = helper.make_tensor("w", dtype, weight.shape, weight.reshape(-1))
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w"], ["c"], "conv", pads=[1] * 4),
            helper.make_node("Relu", ["c"], ["y"], "relu"),
        ],
        "half",
        [helper.make_tensor_value_info("x", dtype, [1, 6, 8, 8])],
        [helper.make_tensor_value_info("y", dtype, [1, 4, 8, 8])],
        [proto],
    )
    opset = helper.make_opsetid("", 22)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=10), path)
    return path


@pytest.mark.parametrize("dtype", [TensorProto.FLOAT16, TensorProto.BFLOAT16])
@pytest.mark.parametrize("samples", [np.float16, np.float32])
def test_a_model_of_16_bit_floats_is_quantized_on_samples_of_either_width(
    dtype: int, samples: type, tmp_path: Path
) -> None:
    given = half_model(tmp_path / "half.onnx", dtype)
    arrays = np.random.default_rng(1).normal(size=(4, 1, 6, 8, 8)).astype(samples)
    done = snapq.quantize(given, [{"x": x} for x in arrays], preset="fast")
    assert repr(done).startswith(f"<QuantizedModel {done.path}: w8a8, ")
    written = onnx.load(done.path)
    assert written.graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT
    np.save(tmp_path / "samples.npy", arrays)
    snapq.quantize(given, tmp_path / "samples.npy", preset="fast", overwrite=True)
    assert written == onnx.load(done.path)


@pytest.mark.npu
@pytest.mark.slow
def test_a_model_of_bfloat16_runs_to_a_bundle_and_is_simulated(tmp_path: Path) -> None:
    given = half_model(tmp_path / "half.onnx", TensorProto.BFLOAT16)
    arrays = np.random.default_rng(1).normal(size=(4, 1, 6, 8, 8)).astype(np.float16)
    np.save(tmp_path / "samples.npy", arrays)
    (tmp_path / "deploy.yaml").write_text(
        "name: half\nmodel: {path: half.onnx}\ndevices: [qcs9075]\n"
        "data: {calibration: {arrays: samples.npy}}\n"
        "stages:\n  - quantize: {preset: fast}\n  - package: {optimization_modes: [3]}\n"
        "gates: {min_sqnr_db: 30}\n"
    )
    done = snapq.run(tmp_path / "deploy.yaml", runs=tmp_path / "runs")
    assert done.passed
    assert "32-bit floats" in " ".join(done.record.stages[0].notes)
    (found,) = snapq.simulate(given, "qcs9075", [{"x": arrays[0]}])
    assert found["y"].dtype == np.float32


def test_a_compiled_model_given_by_mistake_is_refused_in_a_sentence(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("EPContext", ["x"], ["y"], "context", domain="com.microsoft")],
        "compiled",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    path = tmp_path / "model_ctx.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    for call in (
        lambda: snapq.quantize(path, random_inputs=True),
        lambda: snapq.inspect(path, "qcs9075"),
    ):
        with pytest.raises(ModelError, match=r"is compiled.*Give the model that it was compiled"):
            call()


@pytest.mark.npu
@pytest.mark.slow
def test_a_binary_of_another_soc_is_not_simulated(tmp_path: Path) -> None:
    given = half_model(tmp_path / "float.onnx", TensorProto.FLOAT)
    compiled = Model(given, find("qcs9075")).compile(tmp_path / "compiled").files.model
    sample = {"x": np.zeros((1, 6, 8, 8), np.float32)}
    assert len(snapq.simulate(compiled, "qcs9075", [sample])) == 1
    with pytest.raises(DeviceError, match="compiled for SoC 77, and sm8650 is SoC 57"):
        snapq.simulate(compiled, "sm8650", [sample])
