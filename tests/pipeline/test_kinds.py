"""`precision: auto` gives each kind of device its own package where that is faster, else one."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import snapq
from snapq.benchmarking.history.predicted import with_predictions
from snapq.benchmarking.targets.base import Candidate, Measurement
from snapq.benchmarking.targets.board import load_for
from snapq.bundle.manifest import read_manifest, write_manifest
from snapq.bundle.read import Bundle
from snapq.config import BenchmarkConfig
from snapq.devices.profiles import find
from snapq.errors import StorageError
from snapq.pipeline.available import available
from snapq.pipeline.cache import Cache
from snapq.pipeline.inputs import load_setting
from snapq.pipeline.kinds import kinds
from snapq.pipeline.steps import walk
from snapq.progress import Silent
from tests.benchmarking.history.test_history import on_board
from tests.pipeline.conftest import make_project

AUTO = "stages.0.quantize={precision: auto, preset: fast, goal: {min_sqnr_db: %s}}"


def named(project: Path, devices: str, *overrides: str) -> list[list[str]]:
    config = snapq.load(project / "deploy.yaml", [f"devices=[{devices}]", *overrides])
    setting = load_setting(config)
    return [[device.name for device in kind] for kind in kinds(setting, setting.devices)]


def test_devices_with_the_same_estimate_and_precisions_are_of_one_kind(project: Path) -> None:
    found = named(project, "qcs6490, qcs9075, sm8850, sm8650", AUTO % 30)
    assert found == [["qcs6490"], ["qcs9075", "sm8650"], ["sm8850"]]
    assert named(project, "qcs6490, sm8350", AUTO % 30) == [["qcs6490"], ["sm8350"]], "fp16"


def test_all_are_of_one_kind_where_one_model_has_to_serve_all(project: Path) -> None:
    container = "stages.1.package.multi_soc=true"
    assert len(named(project, "qcs6490, qcs9075", AUTO % 30, container)) == 1


@pytest.fixture(scope="module")
def parted(tmp_path_factory: pytest.TempPathFactory) -> snapq.Run:
    """A run whose goal takes fp16 on one device, which the other lacks."""
    project = make_project(tmp_path_factory.mktemp("parted"))
    config = snapq.load(
        project / "deploy.yaml",
        [
            AUTO % 43,
            "devices=[qcs9075, qcs6490]",
            "stages.1.package.optimization_modes=[3]",
            "gates={min_sqnr_db: {qcs9075: 5, qcs6490: 5}, max_accuracy_drop: 0.5}",
        ],
    )
    return snapq.run(config, runs=project / "runs")


@pytest.mark.npu
@pytest.mark.slow
def test_each_kind_of_device_has_its_own_package_and_the_run_says_which(parted: snapq.Run) -> None:
    record = parted.record
    shipped = {one.device: one.label for one in record.placements}
    assert shipped["qcs9075"] != shipped["qcs6490"]
    assert "fp16" not in shipped["qcs6490"]
    assert {one.device: one.label for one in record.fidelity} == shipped
    assert {one.device for one in record.speedups} == shipped.keys()
    assert [one.label for one in record.accuracy].count("float") == 1
    (note,) = (one for one in record.notes if one.startswith("`precision: auto` gives"))
    assert f"{shipped['qcs6490']} for qcs6490" in note
    stages = [(one.name, one.devices) for one in record.stages if one.name != "source"]
    assert stages == [
        ("prepare", ()),
        *((name, ("qcs9075",)) for name in ("quantize", "package")),
        *((name, ("qcs6490",)) for name in ("quantize", "package")),
    ]
    for place in (one.path for device in record.bundle for one in device.files):
        assert (parted.folder / place).is_file()
    assert "<h3>qcs6490</h3>" in parted.report.read_text()


@pytest.mark.npu
@pytest.mark.slow
def test_a_chip_without_fp16_is_compared_with_its_own_w8a16_and_the_run_says_why(
    parted: snapq.Run,
) -> None:
    record = parted.record
    labels = {one.label for one in record.estimates if one.device == "qcs6490"}
    assert not any(label.startswith("fp16") for label in labels)
    baselines = {one.baseline for one in record.speedups if one.device == "qcs6490"}
    assert baselines == {"w8a16 form"}
    assert any(note.startswith("qcs6490 has no fp16") for note in record.notes)


@pytest.mark.npu
@pytest.mark.slow
def test_each_package_has_a_prediction_or_the_reason_why_there_is_none(parted: snapq.Run) -> None:
    record = parted.record
    shipped = {(one.device, one.label) for one in record.placements}
    predicted = {(one.device, one.label): one for one in record.predictions}
    assert shipped <= predicted.keys()
    assert all((one.us is None) == bool(one.reason) for one in predicted.values())


@pytest.mark.npu
@pytest.mark.slow
def test_a_bundle_away_from_its_run_is_predicted_by_the_estimate_in_its_manifest(
    parted: snapq.Run, tmp_path: Path
) -> None:
    assert parted.bundle is not None
    bundle = shutil.copytree(parted.bundle, tmp_path / "bundle")
    record = on_board(0, 1.0, predicted=None)
    label = next(one.label for one in parted.record.placements if one.device == "qcs6490")
    record = record.model_copy(
        update={
            "model": record.model.model_copy(update={"label": label}),
            "target": record.target.model_copy(update={"soc": "qcs6490"}),
        }
    )
    measured = Measurement((), (), {}, (), (record,))
    (found,) = with_predictions(measured, bundle).records
    assert found.predicted is not None
    assert found.predicted.device == "qcs6490"


@pytest.mark.npu
@pytest.mark.slow
def test_gates_look_at_the_packages_of_all_devices(parted: snapq.Run) -> None:
    found = [one.found for one in parted.record.gates if one.name.startswith("min_sqnr_db")]
    assert found == [
        f"{one.sqnr_db:.2f} dB at logits (simulated on {one.device})"
        for one in parted.record.fidelity
    ]
    assert parted.passed


@pytest.mark.npu
@pytest.mark.slow
def test_an_application_and_a_board_take_the_package_of_their_device(parted: snapq.Run) -> None:
    assert parted.bundle is not None
    spec = importlib.util.spec_from_file_location("helper", parted.bundle / "snapq_io.py")
    assert spec is not None
    assert spec.loader is not None
    helper = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(helper)
    package = helper.load(parted.bundle, "qcs6490")
    assert package.model_path("qcs6490").is_file()
    assert package.manifest["precision"] != helper.load(parted.bundle).manifest["precision"]
    with pytest.raises(ValueError, match="a package of its own"):
        helper.load(parted.bundle).model_path("qcs6490")

    verify = [sys.executable, "verify.py", "--device", "qcs6490", "--no-timing"]
    told = parted.bundle.parent / "measurement.json"
    done = subprocess.run([*verify, "-o", told], cwd=parted.bundle, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    readme = (parted.bundle / "README.md").read_text()
    assert f"| qcs6490 | {package.manifest['precision']} | `packages/qcs6490` |" in readme

    outer = Bundle.open(parted.bundle)
    feeds = next(outer.golden_feeds())
    candidate = Candidate("first", outer.model, feeds, parted.bundle)
    for device in ("qcs9075", "qcs6490"):
        load = load_for(candidate, BenchmarkConfig(), find(device))
        assert load.fallbacks[0].model == f"devices/{device}/model_ctx.onnx"
        assert not any(file.path.startswith("packages/") for file in load.files)
    assert load.label == package.manifest["precision"]


@pytest.mark.npu
@pytest.mark.slow
def test_a_package_that_is_not_the_one_that_was_made_is_refused(
    parted: snapq.Run, tmp_path: Path
) -> None:
    assert parted.bundle is not None
    copy = tmp_path / "bundle"
    shutil.copytree(parted.bundle, copy)
    inner = copy / "packages" / "qcs6490"
    manifest = read_manifest(inner)
    changed = {"random_inputs": not manifest.random_inputs}
    write_manifest(inner, manifest.model_copy(update=changed))
    with pytest.raises(StorageError, match="not the one that the manifest describes"):
        Bundle.open(copy).package_for("qcs6490")
    with pytest.raises(StorageError, match="a package of its own"):
        Bundle.open(copy).device("qcs6490")


@pytest.mark.npu
@pytest.mark.slow
def test_kinds_for_which_the_same_model_is_fastest_share_a_package(project: Path) -> None:
    config = snapq.load(project / "deploy.yaml", [AUTO % 5, "devices=[qcs9075, qcs6490]"])
    config = config.model_copy(update={"stages": config.stages[:1]})
    setting = load_setting(config)
    (branch,) = walk(setting, available(setting), Cache(project / "cache"), Silent())
    assert branch.names == ("qcs9075", "qcs6490")
    assert branch.precision == "w8a8"
