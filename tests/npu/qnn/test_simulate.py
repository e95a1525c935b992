"""The NPU simulator behind a stream of feeds."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest

from snapq.cpu import CpuModel
from snapq.devices.profiles import DeviceProfile, find
from snapq.errors import DataError, ModelError, QnnError
from snapq.graph import io
from snapq.npu.qnn.options import CompileOptions
from snapq.npu.qnn.simulate import simulate
from tests.graph.models import build
from tests.npu.compiling import compile_context
from tests.npu.qnn import models


def _scores(*args: object, **kwargs: object) -> np.ndarray:
    return np.stack([out["scores"] for out in simulate(*args, **kwargs)])  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def expected(w8a8_cnn: Path, sm8650: DeviceProfile) -> np.ndarray:
    return _scores(w8a8_cnn, sm8650, models.samples(8), workers=1)


def test_values_are_within_a_few_steps_of_the_same_model_on_the_cpu(
    expected: np.ndarray, w8a8_cnn: Path
) -> None:
    session = CpuModel(w8a8_cnn).session
    on_cpu = np.stack([session.run(None, feed)[0] for feed in models.samples(8)])
    weights = {tensor.name: tensor for tensor in onnx.load(str(w8a8_cnn)).graph.initializer}
    step = float(onnx.numpy_helper.to_array(weights["scores_scale"]))
    assert np.abs(expected - on_cpu).max() <= 8 * step
    assert np.ptp(on_cpu) > 20 * step


def test_results_come_in_order_and_do_not_depend_on_the_number_of_workers(
    expected: np.ndarray, w8a8_cnn: Path, sm8650: DeviceProfile
) -> None:
    done: list[int] = []
    found = _scores(w8a8_cnn, sm8650, models.samples(8), workers=3, progress=done.append)
    assert np.array_equal(found, expected)
    assert done == [1] * 8


@pytest.mark.parametrize("name", ["sm8350", "sm8650", "sm8750", "sm8850"])
def test_what_is_compiled_for_an_architecture_runs_on_its_simulator_with_the_same_values(
    w8a8_cnn: Path, name: str, tmp_path: Path
) -> None:
    device = find(name)
    result = compile_context(w8a8_cnn, device, tmp_path / "out")
    ahead = _scores(result.model, device, models.samples(2), workers=1)
    assert np.array_equal(ahead, _scores(w8a8_cnn, device, models.samples(2), workers=1))


def test_a_float_model_is_computed_in_16_bits(float_cnn: Path, qcs9075: DeviceProfile) -> None:
    found = _scores(float_cnn, qcs9075, models.samples(2), options=CompileOptions(fp16=True))
    session = CpuModel(float_cnn).session
    exact = np.stack([session.run(None, feed)[0] for feed in models.samples(2)])
    error = np.abs(found - exact).max() / np.abs(exact).max()
    assert 1e-5 < error < 1e-2


def test_feeds_are_read_as_they_are_needed_and_workers_end_with_the_consumer(
    w8a8_cnn: Path, sm8650: DeviceProfile
) -> None:
    read = 0

    def endless() -> Iterator[dict[str, np.ndarray]]:
        nonlocal read
        for feed in models.samples(10_000):
            read += 1
            yield feed

    stream = simulate(w8a8_cnn, sm8650, endless(), workers=2)
    for _ in range(6):
        next(stream)
    assert read <= 6 + 4
    assert len(_workers()) == 2
    stream.close()  # type: ignore[attr-defined]
    assert not _workers()


def _workers() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if _is_worker(child)]


def _is_worker(child: psutil.Process) -> bool:
    try:
        return "snapq.workers.child" in child.cmdline()
    except psutil.NoSuchProcess:  # it has ended
        return False


@pytest.mark.parametrize(
    ("feed", "message"),
    [
        ({"imag": np.zeros(models.SHAPE, np.float32)}, "Did you mean 'image'"),
        ({}, "'image' is missing"),
        ({"image": np.zeros(models.SHAPE)}, "takes float32, not float64"),
        (
            {"image": np.zeros((1, 8, 12), np.float32)},
            r"takes shape \[1, 8, 12, 12\], not \[1, 8, 12\]",
        ),
        ({"image": [[0.0]]}, "takes float32, not list"),
    ],
)
def test_a_feed_that_does_not_fit_is_refused_with_its_number(
    w8a8_cnn: Path, sm8650: DeviceProfile, feed: dict[str, np.ndarray], message: str
) -> None:
    good = next(models.samples(1))
    with pytest.raises(DataError, match=message) as caught:
        list(simulate(w8a8_cnn, sm8650, [good, feed], workers=1))
    assert caught.value.where == "sample 1"
    assert not _workers()


def test_an_error_in_the_feeds_ends_the_workers(w8a8_cnn: Path, sm8650: DeviceProfile) -> None:
    def broken() -> Iterator[dict[str, np.ndarray]]:
        yield from models.samples(3)
        raise DataError("The picture is damaged.")

    with pytest.raises(DataError, match="picture"):
        list(simulate(w8a8_cnn, sm8650, broken(), workers=2))
    assert not _workers()


def test_a_dynamic_shape_is_refused_by_name(
    float_cnn: Path, sm8650: DeviceProfile, tmp_path: Path
) -> None:
    model = onnx.load(str(float_cnn))
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
    onnx.save(model, str(tmp_path / "dynamic.onnx"))
    fp16 = CompileOptions(fp16=True)
    with pytest.raises(ModelError, match=r"not fixed: image \[1, 8, height, 12\]"):
        simulate(tmp_path / "dynamic.onnx", sm8650, models.samples(1), options=fp16)


def test_a_model_that_cannot_run_fails_once_however_many_workers_there_are(
    mixed_w8a8_cnn: Path, sm8650: DeviceProfile
) -> None:
    with pytest.raises(Exception, match="Mod remainder"):
        list(simulate(mixed_w8a8_cnn, dataclasses.replace(sm8650), models.samples(9), workers=3))
    assert not _workers()


def test_a_graph_that_does_not_execute_has_the_error_of_the_npu(
    qcs9075: DeviceProfile, tmp_path: Path
) -> None:
    model = build(
        "(float[1,4,8,4] x, float[4,4,3,3] w) => (float[1,4,2,1] y) "
        "{ y = Conv <strides = [4, 4], pads = [0, 2, 0, 0]> (x, w) }"
    )
    io.save(model, tmp_path / "strided.onnx")
    feed = {"x": np.ones((1, 4, 8, 4), np.float32)}
    options = CompileOptions(fp16=True)
    with pytest.raises(QnnError, match="QNN graph execute error"):
        list(simulate(tmp_path / "strided.onnx", qcs9075, [feed], workers=1, options=options))
