"""A run of a model that is cut: the NPU's part, its tail in the bundle, and figures behind it."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest

import snapq
from snapq.bundle.read import Bundle
from snapq.cpu import CpuModel
from snapq.errors import ConfigError, DataError, ModelError
from snapq.pipeline.available import available
from snapq.pipeline.inputs import load_setting
from snapq.stages import source
from tests.graph.cutting.detectors import CUT, detector, picture

DEPLOY = """\
name: detector
model: {path: detector.onnx, outputs: [raw_boxes, class_scores]}
devices: [qcs9075]
data:
  calibration: {arrays: samples.npz}
  evaluation: {arrays: samples.npz, labels: labels.npy}
metric: "found:some"
stages: [{quantize: {preset: fast}}, {package: {golden_samples: 1}}]
"""
METRIC = """\
def some(outputs, label):
    assert sorted(outputs) == ["boxes", "labels", "scores"], sorted(outputs)
    return float(outputs["boxes"].shape[-1] == 4 and len(outputs["scores"]) > 0)


def number(outputs, label):
    return float(len(outputs["scores"]))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A detector whose head takes the size of the picture beside what lies in front of it."""
    onnx.save(detector(sizes=True), tmp_path / "detector.onnx")
    (tmp_path / "deploy.yaml").write_text(DEPLOY)
    (tmp_path / "found.py").write_text(METRIC)
    pictures = np.concatenate([picture(seed) for seed in range(6)])
    sizes = np.tile(np.array([[[3, 5, 3, 5]]]), (6, 1, 1))
    np.savez(tmp_path / "samples.npz", image=pictures, size=sizes)
    np.save(tmp_path / "labels.npy", np.zeros(6, np.int64))
    return tmp_path


def key(folder: Path, *overrides: str) -> str:
    """The key under which the model as given is kept."""
    inputs = available(load_setting(snapq.load(folder / "deploy.yaml", overrides)))
    return inputs.key("source", source.reads(None))


def test_where_a_model_is_cut_counts_in_the_key(folder: Path) -> None:
    assert key(folder) == key(folder)
    assert key(folder) != key(folder, "model.outputs=[box_map, class_scores]")


def test_a_tensor_that_is_not_there_is_refused_before_any_work(folder: Path) -> None:
    config = snapq.load(folder / "deploy.yaml", ["model.outputs=[raw_boxs]"])
    with pytest.raises(ModelError, match="Did you mean 'raw_boxes'"):
        load_setting(config)


def test_a_metric_names_outputs_of_the_whole_model(folder: Path) -> None:
    load_setting(snapq.load(folder / "deploy.yaml", ['metric={"scores": "found:number"}']))
    with pytest.raises(ConfigError, match="no output 'raw_boxes'"):
        load_setting(snapq.load(folder / "deploy.yaml", ['metric={"raw_boxes": "found:number"}']))


@pytest.mark.npu
@pytest.mark.slow
def test_a_run_packs_the_tail_and_judges_behind_it(folder: Path) -> None:
    done = snapq.run(snapq.load(folder / "deploy.yaml"), runs=folder / "runs")
    record = done.record
    assert {(item.label, item.metric) for item in record.accuracy} == {
        ("float", "found:some"),
        ("w8a8", "found:some"),
    }
    at_the_cut = {item.output: item.sqnr_db for item in record.fidelity if not item.behind_cut}
    assert set(at_the_cut) == set(CUT)
    assert min(at_the_cut.values()) > 20
    assert any("cut at raw_boxes, class_scores" in note for note in record.notes)
    assert done.bundle is not None
    manifest = json.loads((done.bundle / "manifest.json").read_text())
    assert manifest["schema_version"] == "snapq.bundle/2"
    bundle = Bundle.open(done.bundle)
    assert [item.name for item in bundle.manifest.outputs] == list(CUT)
    assert [set(outputs) for outputs in bundle.golden_outputs("qcs9075")] == [set(CUT)]
    check_application(done.bundle, folder / "detector.onnx")


def check_application(bundle: Path, model: Path) -> None:
    """What an application does with the bundle, against the model as given."""
    package: Any = helper_of(bundle).load(bundle)
    inputs = {"image": picture(), "size": np.array([[3, 5, 3, 5]])}
    session = package.open_session("cpu")
    values = package.read(session.run(None, package.feeds(inputs)))
    found = package.run_tail(values, inputs)
    expected = CpuModel(model).run(inputs)
    assert list(found) == list(expected)
    assert found["boxes"].dtype == np.float32
    # From the float model's own values the tail gives what the float model gives.
    whole = onnx.load(model)
    whole.graph.output.extend(onnx.ValueInfoProto(name=name) for name in CUT)
    exact = CpuModel(whole.SerializeToString()).run(inputs, CUT)
    for name, array in package.run_tail(exact, inputs).items():
        np.testing.assert_array_equal(array, expected[name])
    with pytest.raises(ValueError, match="the tail takes 'size'"):
        package.run_tail(values)


def helper_of(bundle: Path) -> ModuleType:
    """The `snapq_io.py` of a bundle."""
    spec = importlib.util.spec_from_file_location("bundle_snapq_io", bundle / "snapq_io.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_metric_that_does_not_fit_fails_before_any_work(folder: Path) -> None:
    (folder / "found.py").write_text("def some(outputs):\n    return 1.0\n")
    with pytest.raises(DataError, match="takes 1 positional argument but 2 were given") as caught:
        load_setting(snapq.load(folder / "deploy.yaml"))
    assert str(caught.value.hint) == "Fix `found:some`."
