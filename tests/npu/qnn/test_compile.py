"""Ahead-of-time compilation: the same bytes, checked, whole or not at all."""

from __future__ import annotations

import dataclasses
import errno
import os
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from snapq.devices.profiles import DeviceProfile
from snapq.errors import ConfigError, ModelError, QnnError
from snapq.npu.qnn.binary import inspect_binary
from snapq.npu.qnn.compile import Compiled, compile_best
from snapq.npu.qnn.estimate import estimate
from snapq.npu.qnn.options import CompileOptions
from snapq.npu.qnn.simulate import simulate
from tests.npu.compiling import compile_context
from tests.npu.qnn import models


@pytest.fixture(scope="module")
def compiled(
    w8a8_cnn: Path, sm8650: DeviceProfile, tmp_path_factory: pytest.TempPathFactory
) -> Compiled:
    return compile_context(w8a8_cnn, sm8650, tmp_path_factory.mktemp("compiled") / "out")


def test_the_result_is_one_file_to_load_and_its_binary_beside_it(compiled: Compiled) -> None:
    assert sorted(path.name for path in compiled.model.parent.iterdir()) == [
        "model_ctx.onnx",
        "model_ctx_qnn.bin",
    ]
    assert compiled.binaries == (compiled.model.with_name("model_ctx_qnn.bin"),)
    assert compiled.placement.cpu == 0
    assert compiled.options["soc_model"] == "57"
    nodes = onnx.load(str(compiled.model)).graph.node
    assert [node.op_type for node in nodes] == ["EPContext"]


def test_an_older_onnx_runtime_reads_the_result_where_it_reads_the_model(
    compiled: Compiled, w8a8_cnn: Path
) -> None:
    assert onnx.load(str(w8a8_cnn)).ir_version <= 10
    assert onnx.load(str(compiled.model)).ir_version == 10


def test_the_binary_says_what_it_was_made_for(compiled: Compiled) -> None:
    info = inspect_binary(compiled.binaries[0])
    assert (info.soc_id, info.architecture, info.vtcm_mb, info.optimization_level) == (57, 75, 8, 3)
    assert info.build == compiled.qairt
    assert info.bytes == compiled.binaries[0].stat().st_size
    (graph,) = info.graphs
    assert [(t.name, t.dtype, t.shape) for t in graph.inputs] == [
        ("image", "float32", models.SHAPE)
    ]
    assert [(t.name, t.dtype, t.shape) for t in graph.outputs] == [
        ("scores", "float32", (1, models.CLASSES))
    ]


def test_encodings_of_a_quantized_boundary_are_in_the_binary(
    w8a8_cnn: Path, sm8650: DeviceProfile, tmp_path: Path
) -> None:
    model = models.with_quantized_io(w8a8_cnn, tmp_path / "io.onnx")
    result = compile_context(model, sm8650, tmp_path / "out")
    (graph,) = inspect_binary(result.binaries[0]).graphs
    weights = {tensor.name: tensor for tensor in onnx.load(str(w8a8_cnn)).graph.initializer}
    for tensor in (graph.inputs[0], graph.outputs[0]):
        scale = onnx.numpy_helper.to_array(weights[f"{tensor.name}_scale"])
        zero_point = onnx.numpy_helper.to_array(weights[f"{tensor.name}_zero_point"])
        assert tensor.dtype == "ufixed8"
        assert tensor.scale == (pytest.approx(float(scale)),)
        assert tensor.zero_point == (int(zero_point),)


def test_the_same_model_compiles_to_the_same_bytes_from_anywhere(
    compiled: Compiled, w8a8_cnn: Path, sm8650: DeviceProfile, tmp_path: Path
) -> None:
    elsewhere = shutil.copy(w8a8_cnn, tmp_path / "another name.onnx")
    again = compile_context(Path(elsewhere), sm8650, tmp_path / "deep" / "out")
    assert again.model.read_bytes() == compiled.model.read_bytes()
    assert again.binaries[0].read_bytes() == compiled.binaries[0].read_bytes()


def _refuse(*_: object) -> None:
    raise OSError(errno.EXDEV, "another file system")


@pytest.mark.parametrize("blocked", [(), ("link",), ("link", "symlink")])
def test_a_model_with_weights_in_another_file_compiles_to_the_same_bytes(
    compiled: Compiled,
    w8a8_cnn: Path,
    sm8650: DeviceProfile,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    blocked: tuple[str, ...],
) -> None:
    """Whether or not the file system knows links."""
    for name in blocked:
        monkeypatch.setattr(os, name, _refuse)
    onnx.save(
        onnx.load(str(w8a8_cnn)),
        str(tmp_path / "model.onnx"),
        save_as_external_data=True,
        location="weights.data",
        size_threshold=0,
    )
    again = compile_context(tmp_path / "model.onnx", sm8650, tmp_path / "out")
    assert again.binaries[0].read_bytes() == compiled.binaries[0].read_bytes()


def test_the_fastest_candidate_by_estimate_is_kept(
    w8a8_cnn: Path, qcs9075: DeviceProfile, tmp_path: Path
) -> None:
    tried = [CompileOptions(3), CompileOptions(1), CompileOptions(3, vtcm_mb=qcs9075.vtcm_mb)]
    best = compile_best(w8a8_cnn, qcs9075, tmp_path / "out", tried)
    assert len(best.candidates) == 2, "sets of options that mean the same are tried once"
    cycles = [c.estimate.cycles for c in best.candidates if c.estimate]
    assert best.compiled.estimate is not None
    assert best.compiled.estimate.cycles == min(cycles)
    assert [c.chosen for c in best.candidates] == [n == min(cycles) for n in cycles]
    assert not list(tmp_path.glob(".tmp-*"))


def test_the_estimate_of_a_compilation_is_that_of_the_model(
    w8a8_cnn: Path, qcs9075: DeviceProfile, tmp_path: Path
) -> None:
    result = compile_context(w8a8_cnn, qcs9075, tmp_path / "out", label="w8a8")
    assert result.estimate == estimate(w8a8_cnn, qcs9075, label="w8a8")


def test_without_an_estimate_the_first_candidate_stays_and_no_other_is_tried(
    w8a8_cnn: Path, sm8650: DeviceProfile, tmp_path: Path
) -> None:
    best = compile_best(w8a8_cnn, sm8650, tmp_path / "out", [CompileOptions(2), CompileOptions(3)])
    assert [c.options.optimization_mode for c in best.candidates] == [2]
    assert best.compiled.estimate is None


def test_nodes_that_cannot_run_on_the_npu_are_named_and_nothing_is_written(
    mixed_w8a8_cnn: Path, sm8650: DeviceProfile, tmp_path: Path
) -> None:
    with pytest.raises(QnnError, match="Mod remainder: QNN Mod Op only support fmod") as caught:
        compile_context(mixed_w8a8_cnn, sm8650, tmp_path / "out")
    assert caught.value.where == "mixed_w8a8.onnx"
    assert not list(tmp_path.iterdir())


def test_with_the_cpu_allowed_a_mixed_model_compiles_and_gives_the_same_values(
    mixed_cnn: Path, sm8650: DeviceProfile, tmp_path: Path
) -> None:
    fp16 = CompileOptions(fp16=True)
    result = compile_context(mixed_cnn, sm8650, tmp_path / "out", fp16, allow_cpu=True)
    assert result.placement.cpu == 1
    feeds = list(models.samples(1))
    (ahead,) = simulate(result.model, sm8650, feeds, options=fp16, allow_cpu=True)
    (online,) = simulate(mixed_cnn, sm8650, feeds, options=fp16, allow_cpu=True)
    assert np.array_equal(ahead["scores"], online["scores"])


def test_a_binary_is_embedded_where_that_is_safe_and_only_there(
    w8a8_cnn: Path, mixed_cnn: Path, sm8650: DeviceProfile, tmp_path: Path
) -> None:
    result = compile_context(w8a8_cnn, sm8650, tmp_path / "one", embed=True)
    assert result.binaries == ()
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["model_ctx.onnx"]
    with pytest.raises(ConfigError, match="2 parts"):
        compile_context(
            mixed_cnn,
            sm8650,
            tmp_path / "two",
            CompileOptions(fp16=True),
            embed=True,
            allow_cpu=True,
        )
    assert not (tmp_path / "two").exists()


def test_what_was_there_is_replaced_as_a_whole_and_kept_on_failure(
    compiled: Compiled, mixed_cnn: Path, sm8650: DeviceProfile, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(compiled.model.parent, out)
    with pytest.raises(QnnError):
        compile_context(mixed_cnn, sm8650, out, CompileOptions(fp16=True))
    assert (out / "model_ctx.onnx").read_bytes() == compiled.model.read_bytes()


def test_bad_models_are_refused_before_a_process_starts(
    w8a8_cnn: Path, float_cnn: Path, compiled: Compiled, sm8650: DeviceProfile, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(w8a8_cnn.read_bytes()[:3000])
    cases: dict[Path, tuple[type[Exception], str]] = {
        tmp_path / "missing.onnx": (ModelError, "no such file"),
        tmp_path: (ModelError, "folder"),
        cut: (ModelError, "cut off"),
        float_cnn: (ConfigError, "float"),
        compiled.model: (ConfigError, "compiled already"),
    }
    for model, (kind, message) in cases.items():
        with pytest.raises(kind, match=message):
            compile_context(model, sm8650, tmp_path / "out")


def test_a_damaged_binary_is_an_error_on_reading_and_on_loading(
    compiled: Compiled, sm8650: DeviceProfile, tmp_path: Path
) -> None:
    shutil.copy(compiled.model, tmp_path)
    binary = tmp_path / compiled.binaries[0].name
    whole = compiled.binaries[0].read_bytes()
    with pytest.raises(ModelError, match=r"model_ctx_qnn\.bin, which belongs to the model"):
        next(simulate(tmp_path / "model_ctx.onnx", sm8650, models.samples(1)))
    for damaged in (whole[: len(whole) // 2], b"\0" * len(whole), b""):
        binary.write_bytes(damaged)
        with pytest.raises(QnnError, match="damaged"):
            inspect_binary(binary)
        with pytest.raises(QnnError, match="damaged"):
            next(simulate(tmp_path / "model_ctx.onnx", sm8650, models.samples(1)))


def test_an_estimate_for_a_profile_that_wrongly_promises_one_is_an_error(
    w8a8_cnn: Path, sm8650: DeviceProfile
) -> None:
    with pytest.raises(QnnError, match="no Performance Estimate"):
        estimate(w8a8_cnn, dataclasses.replace(sm8650, has_estimate=True))
