"""A whole run: what it leaves, what it reuses, what it says, and what it never leaves."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

import snapq
from snapq.config import BenchmarkConfig
from snapq.errors import StorageError
from snapq.pipeline.evidence import random_notes
from snapq.pipeline.inputs import load_setting
from snapq.records import Origin
from tests.pipeline.conftest import make_project

pytestmark = [pytest.mark.npu, pytest.mark.slow]


def run(project: Path, *overrides: str, **options: object) -> snapq.Run:
    config = snapq.load(project / "deploy.yaml", overrides)
    return snapq.run(config, runs=project / "runs", **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> snapq.Run:
    """A run whose project and cache are as it left them, but for other runs beside it."""
    return run(make_project(tmp_path_factory.mktemp("first")))


@pytest.fixture
def begun(first: snapq.Run) -> Path:
    """Its project."""
    return first.folder.parents[2]


def hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_run_leaves_a_bundle_a_report_and_a_proof_of_every_figure(first: snapq.Run) -> None:
    done, record = first, first.record
    assert done.passed
    assert done.bundle is not None
    assert (done.bundle / "manifest.json").is_file()
    assert done.report.read_text().startswith("<!doctype html>")
    assert json.loads((done.folder / "run.json").read_text())["finished"] is True
    assert [stage.name for stage in record.stages] == ["source", "prepare", "quantize", "package"]
    assert {(a.label, a.where, a.samples) for a in record.accuracy} == {
        ("float", Origin.HOST, 8),
        ("w8a8", Origin.SIMULATED, 8),
    }
    assert all(f.where is Origin.SIMULATED and f.sqnr_db > 5 for f in record.fidelity)
    labels = {(e.label, e.device) for e in record.estimates}
    assert labels == {
        (label, device)
        for label in ("fp16 unmodified", "fp16 prepared", "fp16 same boundary", "w8a8")
        for device in ("qcs9075", "sm8650")
    }
    assert all(e.us_lower <= e.us <= e.us_upper for e in record.estimates)
    assert {e.estimated_on for e in record.estimates if e.device == "qcs9075"} == {"qcs9075"}
    assert {e.estimated_on for e in record.estimates if e.device == "sm8650"} != {"sm8650"}
    assert all(p.cpu == 0 and p.npu > 0 for p in record.placements)
    assert record.encodings
    assert any(layer.sqnr_db is not None for layer in record.layers)
    (package,) = [e for e in record.estimates if (e.label, e.device) == ("w8a8", "qcs9075")]
    spent = sum(layer.us or 0 for layer in record.layers)
    assert 0 < spent <= 1.2 * package.us
    assert not record.latencies  # deploy.yaml asks for no benchmark


def test_what_ships_is_simulated_for_each_kind_of_npu(project: Path) -> None:
    config = snapq.load(project / "deploy.yaml", ["devices=[qcs9075, qcs6490, sm8650]"])
    record = snapq.run(config, runs=project / "runs").record
    assert [(one.label, one.device) for one in record.accuracy] == [
        ("float", None),
        ("w8a8", "qcs9075"),
        ("w8a8", "qcs6490"),
    ]
    assert {one.device for one in record.fidelity} == {"qcs9075", "qcs6490"}
    assert any(note.startswith("sm8650 at w8a8: not simulated apart") for note in record.notes)


def test_a_second_run_reuses_every_stage_and_gives_the_same_bytes(
    first: snapq.Run, begun: Path
) -> None:
    second = run(begun)
    assert not any(stage.cached for stage in first.record.stages)
    assert all(stage.cached for stage in second.record.stages)
    assert first.bundle is not None
    assert second.bundle is not None
    assert hashes(first.bundle) == hashes(second.bundle)


def test_a_fresh_run_gives_byte_identical_models(first: snapq.Run, begun: Path) -> None:
    second = run(begun, fresh=True)
    assert not any(stage.cached for stage in second.record.stages)
    assert first.bundle is not None
    assert second.bundle is not None
    assert hashes(first.bundle) == hashes(second.bundle)


def test_a_damaged_kept_stage_is_made_again(first: snapq.Run, begun: Path, tmp_path: Path) -> None:
    project = Path(shutil.copytree(begun, tmp_path / "project"))
    kept = next((project / "runs" / ".cache" / "stages").glob("*/encodings.json"))
    kept.unlink()
    kept.write_text("[]")
    second = run(project)
    assert {s.name: s.cached for s in second.record.stages}["quantize"] is False
    assert first.record.encodings == second.record.encodings


def test_changing_one_option_runs_only_what_depends_on_it(project: Path) -> None:
    path = project / "deploy.yaml"
    judged = "stages:\n  - prepare: {judge: {tries: 0}}\n"  # by the estimate of what is quantized
    path.write_text(path.read_text().replace("stages:\n", judged))
    run(project)
    changed = run(project, "stages.quantize.activations=uint16")
    cached = {stage.name: stage.cached for stage in changed.record.stages}
    assert cached == {"source": True, "prepare": True, "quantize": False, "package": False}
    assert {place.label for place in changed.record.placements} == {"w8a16"}


def test_a_run_without_a_package_is_simulated_as_it_is(project: Path) -> None:
    config = (project / "deploy.yaml").read_text().replace("  - package: {golden_samples: 2}\n", "")
    (project / "deploy.yaml").write_text(config.replace(", npu_nodes: all", ""))
    done = run(project)
    assert done.bundle is None
    assert {record.where for record in done.record.fidelity} == {Origin.SIMULATED}


def test_a_gate_without_its_figure_has_failed(begun: Path) -> None:
    done = run(begun, "gates.min_sqnr_db=200")
    assert not done.passed
    failed = [gate for gate in done.record.gates if not gate.passed]
    assert [gate.name for gate in failed] == ["min_sqnr_db"]


def test_random_inputs_are_marked_in_every_result(project: Path) -> None:
    text = (project / "deploy.yaml").read_text()
    start, end = text.index("data:"), text.index("stages:")
    (project / "deploy.yaml").write_text(
        text[:start] + text[end:].replace("max_accuracy_drop: 0.5, ", "")
    )
    done = run(project, random_inputs=True)
    assert all(record.random_inputs for record in done.record.fidelity)
    assert any("RANDOM" in note for note in done.record.notes)


def test_random_calibration_is_told_apart_from_random_comparisons(project: Path) -> None:
    random = "{random: true, samples: 2}"
    both = f"data={{calibration: {random}, evaluation: {random}}}"
    for overrides, says in (
        ([f"data.calibration={random}"], "comparisons are made on data.evaluation"),
        ([both, "metric=null", "gates={}"], "comparisons rest on random inputs"),
        ([], None),
    ):
        notes = list(random_notes(load_setting(snapq.load(project / "deploy.yaml", overrides))))
        assert [says in note for note in notes] == ([] if says is None else [True])


def test_an_error_leaves_no_run_directory(project: Path) -> None:
    (project / "pictures" / "3.png").write_bytes(b"no picture")
    with pytest.raises(snapq.SnapqError):
        run(project)
    assert not (project / "runs" / "tiny").exists()


def test_a_taken_output_directory_is_refused_and_kept(project: Path) -> None:
    taken = project / "out"
    taken.mkdir()
    (taken / "mine.txt").write_text("mine")
    with pytest.raises(StorageError, match="not empty"):
        run(project, output=taken)
    assert [path.name for path in taken.iterdir()] == ["mine.txt"]


def start(project: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "snapq", "run", "deploy.yaml", *arguments],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_start(project: Path) -> None:
    """Waits until a run is under way: before that, Python itself answers signals."""
    for _ in range(600):
        if (project / "runs").exists():
            return
        time.sleep(0.1)


@pytest.mark.parametrize("seconds", [0.1, 1.5, 4.0])
def test_an_interrupted_run_leaves_nothing_and_the_next_one_succeeds(
    project: Path, seconds: float
) -> None:
    process = start(project)
    try:
        wait_for_start(project)
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    if process.returncode != 0:  # 0: it was faster than the signal
        assert process.returncode in (130, -signal.SIGINT)
        assert "Traceback" not in errors
        assert not list((project / "runs").glob("tiny/*"))
    again = start(project)
    _, errors = again.communicate(timeout=300)
    assert again.returncode == 0, errors


def test_two_runs_into_one_directory_are_refused(project: Path) -> None:
    first = start(project, "--output", "out")
    time.sleep(1.5)
    second = start(project, "--output", "out")
    _, second_errors = second.communicate(timeout=300)
    _, first_errors = first.communicate(timeout=300)
    codes = sorted([first.returncode, second.returncode])
    assert codes == [0, 2], first_errors + second_errors
    assert (project / "out" / "run.json").is_file()


def test_measurements_of_a_run_and_of_its_bundle_say_what_they_are_of(project: Path) -> None:
    quick = "benchmark={target: local, min_runs: 2, min_duration_s: 0, repeats: 1, warmup: 0}"
    done = run(project, quick, "devices=[qcs9075]")
    subjects = [bench.subject for bench in done.benches]
    assert [(one.deployment, one.stage, one.precision) for one in subjects if one] == [
        ("tiny", "source", "float32"),
        ("tiny", "package", "w8a8"),
    ]
    written = yaml.safe_load((done.folder / "config.yaml").read_text())
    assert "threads" not in written["benchmark"]  # nor what depends on the target
    assert snapq.load(done.folder / "config.yaml").data.evaluation is not None
    assert done.bundle is not None
    protocol = BenchmarkConfig(min_runs=2, min_duration_s=0, repeats=1, warmup=0)
    again = snapq.benchmark(done.bundle, baseline=project / "tiny.onnx", protocol=protocol)
    assert [bench.subject for bench in again.records] == subjects
    moved = done.bundle.rename(project / "moved")
    (alone,) = snapq.benchmark(moved, protocol=protocol).records
    assert alone.subject == subjects[1]
    assert snapq.compare(done, done, max_accuracy_drop=0, max_estimate_growth=0).passed
    assert snapq.compare(moved, moved, max_size_growth=0, max_estimate_growth=0).passed
