"""A package whose calls take several samples: told, compared sample by sample, and measured."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import snapq
from snapq.bundle import snapq_io
from snapq.bundle.manifest import boundary_of, read_manifest
from snapq.bundle.read import Bundle
from snapq.config import PackageConfig
from snapq.errors import ConfigError, StorageError
from snapq.pipeline.available import available
from snapq.pipeline.cache import Cache
from snapq.pipeline.inputs import load_setting
from snapq.pipeline.kinds import kinds
from snapq.pipeline.steps import batch_key, walk
from snapq.progress import Silent
from snapq.stages.package.batching import Curve, choose
from snapq.stages.package.build import Built
from tests.bundle.application.toolchain import compiled
from tests.bundle.bundles import PICTURES, make
from tests.bundle.test_bundle_hostile import edit_manifest
from tests.graph.boundary.small_models import image_samples
from tests.pipeline.conftest import make_project

BATCH = 3
Made = tuple[Built, Path]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The small network for calls of three samples, made of two golden samples."""
    folder = tmp_path_factory.mktemp("batch")
    config = PackageConfig(golden_samples=2, batch=BATCH, optimization_modes=(3,))
    return make(folder, config), folder / "bundle"


@pytest.mark.npu
@pytest.mark.slow
def test_a_sample_of_a_call_has_the_values_of_one_alone_on_the_simulator(made: Made) -> None:
    built, folder = made
    (reloaded,) = built.reloads
    assert f"each sample of a call of {BATCH} is bit-exact with one alone" in reloaded.sentence
    bundle = Bundle.open(folder)
    (feeds,) = bundle.golden_feeds()
    (golden,) = bundle.golden_outputs("qcs9075")
    assert feeds["image"].shape[0] == golden["scores"].shape[0] == BATCH
    np.testing.assert_array_equal(golden["scores"][0], golden["scores"][2])  # there are two


@pytest.mark.npu
@pytest.mark.slow
def test_manifest_summary_and_files_for_applications_say_it(made: Made) -> None:
    built, folder = made
    manifest = read_manifest(folder)
    assert (manifest.schema_version, manifest.batch) == ("snapq.bundle/5", BATCH)
    assert boundary_of(manifest) == built.boundary
    assert (manifest.devices[0].estimate or {})["batch"] == BATCH
    assert any(f"in a call of {BATCH}, " in note for note in built.notes)
    readme = (folder / "README.md").read_text()
    assert f"A call takes {BATCH} samples" in readme
    assert "ms a sample" in readme
    assert f"#define SNAPQ_BATCH {BATCH}" in (folder / "include/snapq_model.h").read_text()
    for program in ("main.cpp", "Program.cs", "Main.kt", "main.py"):
        assert "sample" in (folder / "samples" / program).read_text(), program


@pytest.mark.npu
@pytest.mark.slow
def test_the_helper_gathers_samples_and_gives_back_as_many(made: Made) -> None:
    package = snapq_io.load(made[1])
    session = package.open_session("cpu")
    frames = [one.frames["image"] for one in image_samples((1, 3, 16, 16), PICTURES, 3)]
    whole = package.samples(session.run(None, package.feeds({"image": frames})))
    few = package.samples(session.run(None, package.feeds({"image": frames[:2]})), 2)
    assert [len(whole), len(few)] == [3, 2]
    for one, other in zip(whole, few, strict=False):
        np.testing.assert_array_equal(one["scores"], other["scores"])
    assert not np.array_equal(whole[0]["scores"], whole[1]["scores"])
    stacked = package.feeds({"image": np.concatenate(frames)})["image"]
    np.testing.assert_array_equal(stacked, package.feeds({"image": frames})["image"])
    with pytest.raises(ValueError, match="takes 1 to 3 samples, not 4"):
        package.feeds({"image": [*frames, frames[0]]})


@pytest.mark.npu
@pytest.mark.slow
def test_verify_and_the_program_in_python_run_it(made: Made, tmp_path: Path) -> None:
    folder = made[1]
    options = ["--cpu", "--min-runs", "2", "--min-seconds", "0", "--repeats", "1"]
    output = tmp_path / "measurement.json"
    command = [sys.executable, folder / "verify.py", *options, "-o", output]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"A run takes {BATCH} samples: " in done.stdout
    from snapq.benchmarking.history.imported import read_measurement

    record = read_measurement(output)
    assert record.batch == BATCH
    assert record.throughput_ips == pytest.approx(BATCH * 1000 / record.latency_ms.mean)


@pytest.mark.npu
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler")
def test_the_programs_show_every_sample(made: Made, tmp_path: Path) -> None:
    folder = made[1]
    picture = np.random.default_rng(5).integers(0, 256, (37, 45, 3)).astype(np.uint8)
    (tmp_path / "picture.ppm").write_bytes(b"P6\n45 37\n255\n" + picture.tobytes())
    program = compiled(folder, tmp_path)
    command = [program, folder / "model.onnx", tmp_path / "picture.ppm"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    package = snapq_io.load(folder)
    feeds = package.feeds({"image": [package.preprocess(picture)]})
    scores = package.samples(package.open_session("cpu").run(None, feeds), 1)[0]["scores"]
    begins = " ".join(f"{value:.9g}" for value in scores[0, :8])
    best = int(scores.argmax())
    line = f"scores: largest {scores[0, best]:.9g} at {best}; begins {begins}"
    assert done.stdout.splitlines() == [line] * BATCH
    command = [sys.executable, folder / "samples/main.py", tmp_path / "picture.ppm"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"scores {scores.shape} largest at {best} ")


def test_auto_takes_the_fewest_samples_that_are_about_as_fast_as_the_fastest() -> None:
    one = Curve("qcs9075", {1: 100.0, 2: 80.0, 4: 71.0, 8: 70.0})
    other = Curve("sm8850", {1: 100.0, 2: 130.0})
    assert (one.best, other.best) == (4, 1)
    assert (choose([one]), choose([one, other])) == (4, 1)
    assert choose([Curve("qcs9075", {}, {1: "no estimate"})]) == 1


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("stages.1.package.batch=0", "batch"),
        ("stages.1.package.batch=often", "auto"),
        ("stages.1.package.batches=2", "Did you mean"),
    ],
)
def test_what_is_no_number_of_samples_is_refused(project: Path, override: str, told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        snapq.load(project / "deploy.yaml", [override])
    assert told in str(refused.value)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of this test alone."""
    return make_project(tmp_path)


@pytest.mark.npu
@pytest.mark.slow
def test_a_manifest_that_contradicts_itself_is_refused(made: Made, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(made[1], tmp_path / "bundle"))
    edit_manifest(folder, lambda value: value.update(batch=1))
    with pytest.raises(StorageError, match="batch and schema_version contradict each other"):
        read_manifest(folder)
    edit_manifest(folder, lambda value: value.update(batch=2))
    with pytest.raises(StorageError, match="has no axis of 2 samples in front"):
        read_manifest(folder)


@pytest.mark.npu
@pytest.mark.slow
def test_devices_part_where_calls_of_other_sizes_are_the_fastest(tmp_path: Path) -> None:
    """What each kind's estimates chose is kept, and taken from there."""
    project = make_project(tmp_path)
    stage = "batch: auto, optimization_modes: [3], golden_samples: 1, judge: {tries: 0}"
    chips = "devices=[qcs9075, sm8650, sm8850]"
    overrides = [chips, f"stages=[{{package: {{{stage}}}}}]", "gates={}"]
    setting = load_setting(snapq.load(project / "deploy.yaml", overrides))
    cache, options = Cache(tmp_path / "cache"), setting.config.stages[-1].options
    assert isinstance(options, PackageConfig)
    (before,) = walk(setting, available(setting), cache, Silent(), stop_at="package")
    for devices, size in zip(kinds(setting, setting.devices), (2, 4), strict=True):
        cache.keep_value(batch_key(before.inputs.for_devices(devices, setting), options), size)
    branches = walk(setting, available(setting), cache, Silent())
    assert [one.names for one in branches] == [("qcs9075", "sm8650"), ("sm8850",)]
    details = [one.finished[-1].artifact.record.details for one in branches]
    assert [list(one["batches"]) for one in details] == [list(one.names) for one in branches]
    for one, found in zip(branches, details, strict=True):
        told = found["batches"][one.names[0]]["us"]
        assert found["batch"] == Curve("", {int(n): us for n, us in told.items()}).best
