"""Searches on the workers of a cluster, and by workers that share a database alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from snapq import api
from snapq.errors import ConfigError, StorageError
from snapq.searching import storing
from snapq.searching.worker import joined
from snapq.stages.artifact import computing
from tests.pipeline.conftest import project  # noqa: F401
from tests.searching.test_search import quick  # noqa: F401

pytestmark = [pytest.mark.npu, pytest.mark.slow]


def test_trials_on_a_cluster_are_those_of_this_machine_and_are_kept_here(
    quick: Path,  # noqa: F811
    scheduler: str,
) -> None:
    runs = quick.parent / "runs"
    there = api.search(quick, trials=2, runs=runs, cluster=scheduler)
    assert [one.state for one in there.record.trials] == ["complete"] * 2
    path, _ = api.pick("tiny", trial=1, runs=runs)
    assert str(quick.parent) not in path.read_text()
    plan = api.plan(api.load(path), runs=runs)
    assert [stage.cached for stage in plan.stages] == [True] * 4
    here = api.search(quick, trials=2, runs=quick.parent / "other")
    for one, other in zip(there.record.trials, here.record.trials, strict=True):
        assert (one.choices, one.us, one.loss, one.bytes) == (
            other.choices,
            other.us,
            other.loss,
            other.bytes,
        )


def test_a_worker_with_a_copy_of_the_files_takes_part(
    quick: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    url = storing.sqlite(tmp_path / "shared.sqlite")
    runs, copy = tmp_path / "runs", tmp_path / "elsewhere" / "copy"
    begun = api.search(quick, trials=1, runs=runs, storage=url)
    shutil.copytree(quick.parent, copy)
    with pytest.raises(ConfigError, match="There is no folder"):
        api.search_worker(url, folder=tmp_path / "nowhere")
    with pytest.raises(StorageError, match="No search 'tinny'"):
        api.search_worker(url, "tinny")
    with pytest.raises(StorageError, match=r"other versions: onnx .* \(here 0\.1\)"):
        joined(url, "tiny", {**computing(), "onnx": "0.1"})
    done = api.search_worker(url, "tiny", folder=copy, trials=2, runs=copy / "runs")
    assert (done.done, done.told, done.running) == (1, 2, 0)
    assert list((copy / "runs" / ".cache" / "stages").iterdir())
    found = api.search(quick, trials=2, runs=runs, storage=url)
    first, second = found.record.trials
    assert first == begun.record.trials[0].model_copy(update={"best": first.best})
    assert second.state == "complete"
    assert str(copy) not in second.model_dump_json(exclude={"cache"})
