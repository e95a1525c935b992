"""Models that other tools quantized are understood, repaired and run on the NPU as a whole."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

import snapq
from snapq.cpu import CpuModel
from snapq.devices.profiles import find
from snapq.errors import DataError
from snapq.graph import io, shapes
from snapq.graph.prepare import prepare
from snapq.npu.qnn.options import CompileOptions
from snapq.npu.qnn.placement import place
from snapq.quantization.existing_qdq.idle_clips import drop_idle_clips
from snapq.quantization.existing_qdq.imposed import Conditions
from snapq.quantization.existing_qdq.requantize import Requantized, requantize
from snapq.quantization.existing_qdq.strip import strip
from snapq.quantization.existing_qdq.transfer import transfer
from snapq.quantization.lint.run import lint
from tests.quantization.compared import decibels
from tests.quantization.foreign_models import MODELS, feeds

pytestmark = pytest.mark.slow

onnxruntime_quantization = pytest.importorskip("onnxruntime.quantization")
CLASSIFIER = (1, 3, 48, 192)


def repaired(given: ir.Model, samples: list[dict[str, np.ndarray]] | None) -> Requantized:
    stripped = strip(given)
    prepared = prepare(stripped.model, {}).model
    sample = next(feeds(1))
    found = transfer(stripped.encodings, (stripped.model, sample), (prepared, sample))
    encodings = drop_idle_clips(prepared, found.encodings, samples)
    return requantize(prepared, encodings, Conditions(73), samples)


def run_on_cpu(model: ir.Model, sample: dict[str, np.ndarray]) -> np.ndarray:
    answer: np.ndarray = CpuModel(model, optimize=False).session.run(None, sample)[0]
    return answer


@pytest.mark.npu
@pytest.mark.parametrize("name", MODELS)
def test_what_keeps_a_foreign_model_off_the_npu_is_found_and_repaired(
    name: str, tmp_path: Path
) -> None:
    given = ir.serde.deserialize_model(MODELS[name]())
    assert bool(lint(given, 73)) is (name != "saturation")
    result = repaired(given, list(feeds(4))).quantized.model
    assert lint(result, 73) == ()
    types = {n.inputs[2].dtype for n in result.graph if n.op_type == "QuantizeLinear"}
    assert types == {ir.DataType.UINT8}
    sample = next(feeds(1))
    assert decibels(run_on_cpu(given, sample), run_on_cpu(result, sample)) > 25
    io.save(result, tmp_path / "repaired.onnx")
    found = place(tmp_path / "repaired.onnx", find("qcs9075"), CompileOptions())
    assert {node.unit for node in found.nodes} <= {"npu", "none"}


def test_what_has_no_encoding_is_named_where_there_are_no_samples() -> None:
    with pytest.raises(DataError, match=r"no encoding.*'y'"):
        repaired(ir.serde.deserialize_model(MODELS["inputs-only"]()), None)


def test_saturation_that_stood_for_a_relu_is_a_clip_in_the_float_form() -> None:
    given = ir.serde.deserialize_model(MODELS["saturation"]())
    stripped = strip(given).model
    assert Counter(node.op_type for node in stripped.graph)["Clip"] == 1
    sample = next(feeds(1))
    assert run_on_cpu(stripped, sample).min() >= 0
    assert decibels(run_on_cpu(given, sample), run_on_cpu(stripped, sample)) > 30


def test_saturation_at_a_graph_output_is_a_clip_that_has_the_name_of_the_output() -> None:
    given = onnx.parser.parse_model(
        """<ir_version: 10, opset_import: ["": 21]>
        g (float[1, 4] x) => (float[1, 4] y)
        <float scale = {0.1}, uint8 middle = {128}, uint8 low = {0}> {
            q = QuantizeLinear(x, scale, middle)
            d = DequantizeLinear(q, scale, middle)
            sum = Add(d, d)
            held = QuantizeLinear(sum, scale, low)
            y = DequantizeLinear(held, scale, low)
        }"""
    )
    stripped = strip(ir.from_proto(given)).model
    assert [node.op_type for node in stripped.graph] == ["Add", "Clip"]
    sample = {"x": np.array([[-1.0, 0.0, 2.0, 99.0]], np.float32)}
    np.testing.assert_allclose(CpuModel(stripped).run(sample)["y"], [[0.0, 0.0, 4.0, 25.5]])


def test_repairing_what_is_right_changes_nothing() -> None:
    # Small enough that no Q saturates what the sum reads in float.
    samples = [{"x": 0.3 * feed["x"]} for feed in feeds(4)]
    once = repaired(ir.serde.deserialize_model(MODELS["inputs-only"]()), samples)
    again = repaired(once.quantized.model, None)
    sample = next(feeds(1))
    first, second = (run_on_cpu(item.quantized.model, sample) for item in (once, again))
    assert np.array_equal(first, second)
    activations = {n: e for n, e in once.quantized.encodings.items() if e.dtype.value == "uint8"}
    assert activations.items() <= again.quantized.encodings.items()


class Reader(onnxruntime_quantization.CalibrationDataReader):  # type: ignore[misc, name-defined]
    """Random samples for onnxruntime's quantizer."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        arrays = [rng.normal(size=CLASSIFIER).astype(np.float32) for _ in range(3)]
        self._samples = iter([{"x": array} for array in arrays])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._samples, None)


def quantized_by_onnxruntime(source: Path, folder: Path, form: str) -> Path:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    io.save(shapes.freeze(io.load(source), {"x": CLASSIFIER}), folder / "float.onnx")
    quantize_static(
        folder / "float.onnx",
        folder / "given.onnx",
        Reader(),
        quant_format=getattr(QuantFormat, form),
        per_channel=True,
        activation_type=QuantType.QInt8 if form == "QDQ" else QuantType.QUInt8,
    )
    return folder / "given.onnx"


@pytest.mark.npu
def test_what_onnxruntime_quantized_is_packaged_with_every_node_on_the_npu(
    ppocr_cls: Path, tmp_path: Path
) -> None:
    given = quantized_by_onnxruntime(ppocr_cls, tmp_path, "QDQ")
    arrays = np.random.default_rng(0).normal(size=(3, *CLASSIFIER)).astype(np.float32)
    np.save(tmp_path / "samples.npy", arrays)
    (tmp_path / "deploy.yaml").write_text(
        f"name: foreign\nmodel: {{path: {given}}}\ndevices: [qcs9075]\n"
        "data: {calibration: {arrays: samples.npy}}\n"
        "stages:\n  - package: {golden_samples: 1, optimization_modes: [3]}\n"
        "gates: {npu_nodes: all, min_sqnr_db: 15}\n"
    )
    done = snapq.run(tmp_path / "deploy.yaml", runs=tmp_path / "runs")
    assert done.passed
    assert [s.name for s in done.record.stages] == ["source", "prepare", "repair", "package"]
    repair = done.record.stages[2]
    assert repair.details["findings"]
    assert repair.details["findings_left"] == []
    assert repair.details["encodings_kept"] > 60


def test_integer_operators_of_onnxruntime_are_read_as_the_float_ones_they_stand_for(
    ppocr_cls: Path, tmp_path: Path
) -> None:
    given = io.load(quantized_by_onnxruntime(ppocr_cls, tmp_path, "QOperator"))
    stripped = strip(given).model
    assert not any(node.op_type.startswith("QLinear") for node in stripped.graph)
    sample = {"x": np.random.default_rng(7).normal(size=CLASSIFIER).astype(np.float32)}
    truth = run_on_cpu(io.load(tmp_path / "float.onnx"), sample)
    assert (
        decibels(truth, run_on_cpu(stripped, sample))
        > decibels(truth, run_on_cpu(given, sample))
        > 15
    )
