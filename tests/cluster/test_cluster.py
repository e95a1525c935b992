"""Work on real Dask workers: values, files, what ends, and what is left."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from snapq import api
from snapq.cluster.connection import Cluster
from snapq.cluster.current import connected, current, each
from snapq.devices.profiles import find
from snapq.errors import ClusterError, DataError, InstallError, ModelError
from snapq.npu.model import Model
from snapq.stages.artifact import computing
from tests.cluster import tasks
from tests.npu.qnn import models
from tests.pipeline.conftest import make_project

pytestmark = pytest.mark.npu

_WAIT_S = 30.0
QUICK = (
    "stages.quantize.preset=fast",
    "stages.package={golden_samples: 1, optimization_modes: [1], thin_strides: false}",
)
"""Options with which a deployment takes a few seconds of a processor."""


def _wait_until(holds: object) -> None:
    deadline = time.monotonic() + _WAIT_S
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_two_workers_simulate_the_same_values_in_the_same_order(
    cluster: Cluster, w8a8_cnn: Path
) -> None:
    model, feeds = Model(w8a8_cnn, find("sm8650")), list(models.samples(12))
    there = list(model.simulate(iter(feeds)))
    cluster.close()
    assert current() is None
    for one, other in zip(there, model.simulate(iter(feeds)), strict=True):
        assert one.keys() == other.keys()
        assert all(np.array_equal(one[name], other[name]) for name in one)


def test_a_sample_that_does_not_fit_is_refused_by_its_number(
    cluster: Cluster, w8a8_cnn: Path
) -> None:
    good = next(models.samples(1))
    feeds = [good, good, {"image": good["image"][..., :-1]}]
    with pytest.raises(DataError, match="takes shape") as caught:
        list(Model(w8a8_cnn, find("sm8650")).simulate(iter(feeds)))
    assert caught.value.where == "sample 2"


def test_a_file_travels_once_however_many_tasks_need_it(cluster: Cluster, tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(os.urandom(1 << 20))
    file, text = cluster.file(path), cluster.data(b"and bytes")
    for _ in range(6):
        found = cluster.run(tasks.joined, (file, text), files=(file, text))
        assert found == path.read_bytes() + b"and bytes"
    # Both workers are on one machine and have one folder of files.
    assert cluster.sent == file.size + text.size


def test_what_a_task_leaves_comes_back(cluster: Cluster, tmp_path: Path) -> None:
    place = cluster.run(tasks.left, "found", folder=tmp_path)
    assert (tmp_path / "notes" / "note.txt").read_text() == "found"
    assert not Path(place).exists()


def test_an_error_of_a_task_comes_back_as_it_is(cluster: Cluster) -> None:
    with pytest.raises(ModelError) as caught:
        cluster.run(tasks.refused)
    assert str(caught.value) == "cnn.onnx: It has no output. Export it again."


def test_a_worker_that_dies_costs_its_task_only(
    cluster: Cluster, told: list[str], tmp_path: Path
) -> None:
    ways = [*[None] * 3, tmp_path / "died", *[None] * 3]
    found = [
        cluster.submit(tasks.dies_once, way) if way else cluster.submit(tasks.seen, "HOME")
        for way in ways
    ]
    assert [ticket.result() for ticket in found if ticket]
    cluster.close()
    assert sum("is gone; others do its tasks" in text for text in told) == 1
    assert "1 worker gone on the way" in told[-1]


def test_a_task_that_dask_takes_back_is_handed_out_again(
    cluster: Cluster, scheduler: str, tmp_path: Path
) -> None:
    import distributed

    mark = tmp_path / "begun"
    ticket = cluster.submit(tasks.waits_once, mark)
    _wait_until(mark.exists)
    with distributed.Client(scheduler.replace("dask", "tcp"), set_as_default=False) as other:
        keys = other.run_on_scheduler(tasks.keys)
        other.cancel([distributed.Future(key, other) for key in keys], force=True)
    assert ticket.result() == "again"


def test_a_cancelled_task_ends_where_it_runs(cluster: Cluster, tmp_path: Path) -> None:
    mark = tmp_path / "running"
    ticket = cluster.submit(tasks.sleeps, mark)
    _wait_until(lambda: mark.exists() and mark.read_text())
    ticket.cancel()
    with pytest.raises(ClusterError, match="cancelled"):
        ticket.result()
    number = int(mark.read_text())
    _wait_until(lambda: not psutil.pid_exists(number))


def test_an_interrupt_leaves_no_task_behind(scheduler: str, tmp_path: Path) -> None:
    marks = [tmp_path / str(index) for index in range(3)]

    def work(mark: Path) -> None:
        found = current()
        assert found is not None
        found.run(tasks.sleeps, mark)

    def interrupted() -> None:
        with connected(scheduler, computing, lambda _: None):
            timer = threading.Thread(target=_interrupt_when, args=(marks,))
            timer.start()
            list(each(work, marks))

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    numbers = [int(mark.read_text()) for mark in marks if mark.exists()]
    assert len(numbers) == 2
    _wait_until(lambda: not any(map(psutil.pid_exists, numbers)))


def _interrupt_when(marks: list[Path]) -> None:
    """As Ctrl-C, when both workers are busy."""
    _wait_until(lambda: sum(mark.exists() and mark.stat().st_size > 0 for mark in marks) == 2)
    os.kill(os.getpid(), signal.SIGINT)


def test_workers_of_another_version_are_refused(scheduler: str) -> None:
    other = {**computing(), "onnxruntime-qnn": "9.9.9"}
    with (
        pytest.raises(ClusterError, match=r"onnxruntime-qnn .* \(here 9\.9\.9\)"),
        connected(scheduler, tasks.Said(other), lambda _: None),
    ):
        pass


def test_where_nobody_answers_one_sentence_says_so() -> None:
    with (
        pytest.raises(ClusterError, match="No Dask scheduler can be reached") as caught,
        connected("dask://127.0.0.1:9", computing, lambda _: None),
    ):
        pass
    assert "dask worker" in str(caught.value)


@pytest.mark.slow
def test_the_memory_of_a_worker_with_its_children_is_bounded(cluster: Cluster) -> None:
    with pytest.raises(ClusterError, match=r"took more than the 0\.4 GB of memory"):
        cluster.run(tasks.grows, 400_000_000)


def test_without_the_extra_one_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(InstallError, match=r"cannot be imported") as caught,
        connected("local:2", computing, lambda _: None),
    ):
        pass
    assert caught.value.hint == "Run: pip install distributed"


@pytest.mark.slow
def test_a_run_on_a_cluster_makes_the_same_bytes(scheduler: str, tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    path = make_project(tmp_path / "project") / "deploy.yaml"
    config = api.load(path, QUICK)
    here = api.run(config, runs=tmp_path / "here")
    there = api.run(config, runs=tmp_path / "there", cluster=scheduler)
    assert here.passed
    names = [file.path for file in here.record.bundle_files]
    assert names
    for name in names:
        assert (there.folder / name).read_bytes() == (here.folder / name).read_bytes(), name
    for kind in ("accuracy", "fidelity", "estimates", "answers", "layers"):
        assert getattr(there.record, kind) == getattr(here.record, kind)
