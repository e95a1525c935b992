"""Whole searches of a small network: compiled, estimated, simulated, picked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from snapq import api
from snapq.api.running import check
from snapq.errors import ConfigError, InstallError, StorageError
from snapq.graph import io
from snapq.pipeline.available import available
from snapq.pipeline.cache import Cache
from snapq.pipeline.steps import walk
from snapq.progress import Silent
from snapq.searching import storing
from snapq.searching.look import cheap_us
from snapq.searching.opening import begun
from snapq.searching.pick import stages_elsewhere
from snapq.searching.trial import Limits, evaluate
from snapq.stages.package.stage import Packaged
from tests.npu.judged.test_first_layer import network
from tests.pipeline.conftest import project  # noqa: F401

pytestmark = pytest.mark.npu

FAST = {"golden_samples": 1, "optimization_modes": [1], "thin_strides": False}


@pytest.fixture
def quick(project: Path) -> Path:  # noqa: F811
    """A deployment of which a trial takes three seconds of a processor."""
    path = project / "deploy.yaml"
    values = yaml.safe_load(path.read_text())
    values |= {"devices": ["qcs9075"], "gates": {}}
    values["stages"] = [{"quantize": {"preset": "fast"}}, {"package": FAST}]
    for source in values["data"].values():
        source["samples"] = 2
    values["search"] = {"layers": ["w8a16"]}
    path.write_text(yaml.safe_dump(values))
    return path


class Said:
    """Keeps what a search says."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)

    def track(self, title: str, total: int | None = None):
        return Silent().track(title, total)


def test_a_search_goes_on_and_the_stages_of_a_picked_point_are_kept(quick: Path) -> None:
    runs, said = quick.parent / "runs", Said()
    first = api.search(quick, trials=1, runs=runs)
    assert [one.own for one in first.record.trials] == [True]
    found = api.search(quick, trials=2, runs=runs, progress=said)
    assert said.lines == ["Goes on: 1 of 2 trials are done."]
    assert [one.state for one in found.record.trials] == ["complete"] * 2
    assert [one.layers for one in found.record.trials] == [{}, {"int8/uint16": 1}]
    assert {one.measures["where"] for one in found.record.trials} == {"simulated"}
    assert found.frontier
    assert api.open_search(quick, runs=runs).record == found.record
    path, point = api.pick("tiny", trial=1, runs=runs)
    assert stages_elsewhere(point) == ""
    far = point.model_copy(update={"host": "node7", "cache": "/scratch/.cache"})
    assert "in /scratch/.cache of node7; a run makes them again here" in stages_elsewhere(far)
    assert point.us == found.record.trials[1].us
    picked = api.load(path)
    assert not picked.search
    assert str(quick.parent) not in path.read_text()
    plan = api.plan(picked, runs=runs)
    assert [stage.cached for stage in plan.stages] == [True] * 4
    with pytest.raises(ConfigError, match="The file exists"):
        api.pick("tiny", trial=1, runs=runs)
    with pytest.raises(ConfigError, match="No point of the search keeps this"):
        api.pick("tiny", max_drop=-2.0, runs=runs)
    with pytest.raises(StorageError, match="Did you mean 'tiny'"):
        api.open_search("tinny", runs=runs)


@pytest.mark.slow
def test_where_nothing_is_marked_what_the_model_allows_is_searched(quick: Path) -> None:
    values = yaml.safe_load(quick.read_text())
    del values["search"], values["stages"][0]["quantize"]["preset"]
    quick.write_text(yaml.safe_dump(values))
    found = api.search(quick, trials=3, runs=quick.parent / "runs")
    keys = {one.key for one in found.record.dimensions}
    assert {"stages.prune.ratio", "stages.quantize.preset", "layers w8a16"} <= keys
    assert [one.own for one in found.record.trials] == [True, False, False]
    assert any("resolution is not searched" in note for note in found.record.notes)


@pytest.mark.slow
def test_a_trial_that_fails_is_told_and_does_not_stop_the_search(quick: Path) -> None:
    values = yaml.safe_load(quick.read_text())
    values["search"] = {"stages.quantize.overrides": [[], [{"nodes": ["ghost"], "keep": "float"}]]}
    quick.write_text(yaml.safe_dump(values))
    found = api.search(quick, trials=3, runs=quick.parent / "runs")
    assert found.record.notes[-1].startswith("Every point of the space is tried")
    states = {one.state: one.sentence for one in found.record.trials}
    assert set(states) == {"complete", "failed"}
    assert "no node 'ghost'" in states["failed"]


@pytest.mark.slow
def test_points_beyond_a_limit_of_time_are_not_simulated(quick: Path) -> None:
    found = api.search(quick, trials=2, max_us=1.0, runs=quick.parent / "runs")
    assert {one.state for one in found.record.trials} == {"pruned"}
    assert "more than the limit of" in found.record.trials[0].sentence
    assert not found.frontier


def test_a_point_that_the_cpu_finds_too_bad_is_estimated_and_not_packaged(quick: Path) -> None:
    cache = quick.parent / "runs" / ".cache"
    study = begun(
        check(api.load(quick)),
        storing.sqlite(quick.parent / "search.sqlite"),
        device="qcs9075",
        sampler="tpe",
        seed=0,
        cache=Cache(cache),
        progress=Silent(),
    )
    spec = study.ask(cache, Limits(max_drop=-2.0))  # no point gains that much
    assert spec is not None
    early = evaluate(replace(spec, margin=0.0))
    assert early.state == "pruned"
    assert "too much for the limit of -2" in early.sentence
    assert [stage["name"] for stage in early.stages] == ["source", "prepare", "quantize"]
    in_float = evaluate(replace(spec, float_margin=0.0))
    assert in_float.state == "pruned"
    assert "in float it loses 0 on some samples already" in in_float.sentence
    assert [stage["name"] for stage in in_float.stages] == ["source", "prepare"]
    assert in_float.us == pytest.approx(early.us, rel=0.01)
    whole = evaluate(replace(spec, limits=Limits()))
    assert whole.state == "complete"
    assert whole.us == early.us


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_search_that_is_ended_goes_on_with_what_it_was_at(quick: Path, number: int) -> None:
    command = [sys.executable, "-m", "snapq", "search", str(quick), "--trials", "4"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    with subprocess.Popen(
        command, cwd=quick.parent, env=environment, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr is not None
        while "Trial 0" not in (line := running.stderr.readline()):
            assert line, "the search ended by itself"
        time.sleep(1.0)
        running.send_signal(number)
        rest = running.stderr.read()
    assert running.returncode == (130 if number == signal.SIGINT else -number)
    assert ("the same command goes on" in rest) == (number == signal.SIGINT)
    said = Said()
    found = api.search(quick, trials=2, runs=quick.parent / "runs", progress=said)
    assert "1 of 2 trials are done" in said.lines[0]
    assert [one.state for one in found.record.trials] == ["complete"] * 2


def test_without_optuna_one_sentence_says_what_to_install(
    quick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InstallError, match=r"pip install optuna"):
        api.search(quick)


def test_the_early_estimate_knows_the_forms_that_the_package_stage_tries(quick: Path) -> None:
    model = network((96, 96), (7, 7), 2, [3] * 4, front=("Sub",))
    io.save(model, quick.parent / "blocks.onnx")
    values = {
        "name": "blocks",
        "model": {"path": "blocks.onnx"},
        "devices": ["qcs9075"],
        "stages": [{"quantize": {"preset": "fast", "activations": "uint16"}}, {"package": FAST}],
    }
    quick.write_text(yaml.safe_dump(values))
    setting = check(api.load(quick), random_inputs=True)
    cache = Cache(quick.parent / "runs" / ".cache")
    before = walk(setting, available(setting), cache, Silent(), stop_at="package")
    (branch,) = walk(setting, available(setting), cache, Silent())
    (packaged,) = Packaged.read(branch.finished[-1].artifact.folder).estimates
    assert cheap_us(before, "qcs9075", cache, tries=4) == packaged.precise_us
    plain = cheap_us(before, "qcs9075", cache)
    assert plain is not None
    assert plain > 1.2 * packaged.precise_us
