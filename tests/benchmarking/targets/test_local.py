from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import psutil
import pytest

from snapq.benchmarking.targets.base import Candidate
from snapq.benchmarking.targets.local import LocalTarget
from snapq.benchmarking.targets.timed_model import TimedModel
from snapq.config import BenchmarkConfig
from snapq.errors import ConfigError, DataError, DeviceError, ModelError
from snapq.records import Origin

Feeds = dict[str, np.ndarray]
QUICK = BenchmarkConfig(warmup=2, min_runs=20, min_duration_s=0)


def test_a_benchmark_gives_every_figure_and_keeps_its_samples(
    float_model: Path, float_feeds: Feeds, bytes_model: Path, bytes_feeds: Feeds
) -> None:
    shares: list[float] = []
    found = LocalTarget().measure(
        [
            Candidate("float", float_model, float_feeds),
            Candidate("w8a8", bytes_model, bytes_feeds),
        ],
        QUICK,
        shares.append,
    )
    assert [latency.label for latency in found.latencies] == ["float", "w8a8"]
    for latency in found.latencies:
        samples = found.samples[latency.label]
        assert latency.runs == samples.size >= QUICK.min_runs
        assert latency.p50_ms == np.median(samples)
        assert latency.min_ms <= latency.p50_ms <= latency.p90_ms <= latency.p99_ms
        assert latency.create_ms > 0
        assert latency.first_ms > 0
        assert latency.peak_rss_bytes > 10e6
        assert latency.where is Origin.MEASURED
    (speedup,) = found.speedups
    float_ms, w8a8_ms = (latency.p50_ms for latency in found.latencies)
    assert speedup.value == pytest.approx(float_ms / w8a8_ms)
    assert speedup.interval is not None
    assert speedup.interval[0] <= speedup.interval[1]
    assert any("only 20 runs" in remark for remark in speedup.remarks)
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_a_benchmark_lasts_as_long_as_asked(float_model: Path, float_feeds: Feeds) -> None:
    protocol = BenchmarkConfig(warmup=1, min_runs=1, min_duration_s=0.2)
    found = LocalTarget().measure([Candidate("float", float_model, float_feeds)], protocol)
    assert found.samples["float"].sum() >= 200
    assert found.speedups == ()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: {},
        lambda x: {"x": x, "mask": x},
        lambda x: {"x": x[:, :4]},
        lambda x: {"x": x.astype(np.float64)},
    ],
    ids=["missing", "unknown", "shape", "type"],
)
def test_an_input_that_does_not_fit_is_named(
    float_model: Path, float_feeds: Feeds, spoil: Callable[[np.ndarray], Mapping[str, np.ndarray]]
) -> None:
    candidate = Candidate("float", float_model, spoil(float_feeds["x"]))
    with pytest.raises(DataError, match=r"^float: ONNX Runtime does not run"):
        LocalTarget().measure([candidate], QUICK)


def test_a_model_that_does_not_load_is_named(
    tmp_path: Path, float_model: Path, float_feeds: Feeds
) -> None:
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(float_model.read_bytes()[:200])
    for path in (cut, tmp_path / "absent.onnx"):
        with pytest.raises(ModelError, match=path.name):
            LocalTarget().measure([Candidate("float", path, float_feeds)], QUICK)


def test_two_candidates_need_two_labels(float_model: Path, float_feeds: Feeds) -> None:
    twin = Candidate("float", float_model, float_feeds)
    with pytest.raises(ConfigError, match="labels of their own"):
        LocalTarget().measure([twin, twin], QUICK)


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
@pytest.mark.parametrize(
    ("fault", "message"),
    [(signal.SIGKILL, "ended unexpectedly .*SIGKILL"), (signal.SIGSTOP, "gave no answer in 3 s")],
    ids=["killed", "hung"],
)
def test_a_child_that_fails_in_mid_run_is_one_clear_error(
    float_model: Path, float_feeds: Feeds, fault: signal.Signals, message: str
) -> None:
    others = set(psutil.Process().children())  # workers that earlier tests left running
    with TimedModel("float", float_model, threads=1, timeout_s=3) as model:
        model.feed(float_feeds)
        (child,) = set(psutil.Process().children()) - others
        threading.Timer(0.2, child.send_signal, [fault]).start()
        with pytest.raises(DeviceError, match=message):
            _take_turns_for_ever(model)
    assert not child.is_running()


def _take_turns_for_ever(model: TimedModel) -> None:
    while True:
        model.turn(100, settle=0, expected_s=0)


HOST = """
import sys
import numpy as np
from pathlib import Path
from snapq.config import BenchmarkConfig
from snapq.benchmarking.targets.base import Candidate
from snapq.benchmarking.targets.local import LocalTarget
candidate = Candidate("float", Path(sys.argv[1]), {"x": np.zeros((1, 8, 16, 16), np.float32)})
print("ready", flush=True)
LocalTarget().measure([candidate], BenchmarkConfig(min_duration_s=600))
"""


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
@pytest.mark.parametrize("fault", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "killed"])
def test_no_child_outlives_the_host(float_model: Path, fault: signal.Signals) -> None:
    host = subprocess.Popen(
        [sys.executable, "-c", HOST, str(float_model)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert host.stdout is not None
    host.stdout.readline()
    children = _wait_for(psutil.Process(host.pid).children)
    time.sleep(1)  # into the runs
    host.send_signal(fault)
    host.wait(timeout=20)
    host.stdout.close()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []


def _wait_for(look: Callable[[], list[psutil.Process]]) -> list[psutil.Process]:
    for _ in range(200):
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError("the host started no child")
