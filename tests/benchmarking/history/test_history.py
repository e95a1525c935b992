"""The history of benchmarks, and the gate against slowing down."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from snapq.benchmarking.history import store
from snapq.benchmarking.history.compare import compare
from snapq.benchmarking.history.junit import junit
from snapq.benchmarking.targets.local_records import Timed, local_records
from snapq.config import BenchmarkConfig
from snapq.errors import ConfigError, StorageError
from snapq.records.bench import BenchGolden, BenchRecord


def result(model: Path, median_ms: float, label: str = "w8a8", seed: int = 0) -> BenchRecord:
    """A result whose latencies spread by a tenth around the median."""
    samples = np.random.default_rng(seed).normal(median_ms, median_ms / 10, (20, 10))
    timed = Timed(label, model, samples, create_ms=1.0, first_ms=1.0, peak_rss_bytes=1)
    return local_records([timed], BenchmarkConfig(), ())[0]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"a model")
    return path


def test_what_was_remembered_is_found_again_newest_first(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    first, second = result(model, 5), result(model, 6, "w8a16")
    store.remember([first], path)
    store.remember([second, first], path)
    assert store.recent(path=path) == (second, first)
    assert store.recent(label="w8a8", path=path) == (first,)
    assert store.find(first.run_id[:8], path) == first


def test_an_id_that_fits_none_or_several_is_refused(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    with pytest.raises(ConfigError, match="No run starts"):
        store.find("abc", path)
    one = result(model, 5).model_copy(update={"run_id": "aa1"})
    store.remember([one, one.model_copy(update={"run_id": "aa2"})], path)
    with pytest.raises(ConfigError, match="More than one"):
        store.find("aa", path)


def test_many_writers_lose_nothing(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    results = [result(model, 5) for _ in range(16)]
    threads = [threading.Thread(target=store.remember, args=([r], path)) for r in results]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.recent(limit=100, path=path)) == 16


def test_a_file_that_is_no_history_is_an_error_and_stays(tmp_path: Path, model: Path) -> None:
    path = tmp_path / "history.sqlite"
    path.write_bytes(b"not a database, but somebody's file" * 100)
    with pytest.raises(StorageError, match="cannot be used"):
        store.remember([result(model, 5)], path)
    assert path.read_bytes().startswith(b"not a database")


def test_a_damaged_result_is_an_error(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    store.remember([result(model, 5)], path)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE benchmarks SET record = x'00'")
    with pytest.raises(StorageError, match="damaged"):
        store.recent(path=path)


@pytest.mark.parametrize(
    ("after_ms", "passed"), [(5.0, True), (5.1, True), (7.5, False), (4.0, True)]
)
def test_the_gate_fails_on_a_slowdown_that_chance_does_not_explain(
    model: Path, after_ms: float, passed: bool
) -> None:
    found = compare(result(model, 5), result(model, after_ms, seed=1), max_slowdown=1.05)
    assert found.ratio == pytest.approx(after_ms / 5, rel=0.03)
    assert found.passed is passed


def test_runs_under_other_conditions_are_not_compared_in_silence(model: Path) -> None:
    before = result(model, 5)
    threads = before.protocol.model_copy(update={"threads": 4})
    found = compare(before, before.model_copy(update={"protocol": threads}), max_slowdown=2)
    assert not found.passed
    assert found.differences == ("threads: 1 before, 4 now.",)


def test_the_checks_are_cases_of_junit_whatever_names_they_have(model: Path) -> None:
    hostile = result(model, 9, label='<w8a8 "x">\x1b[31m&')
    suite = ElementTree.fromstring(junit(compare(result(model, 5), hostile, 1.05)))
    assert suite.get("failures") == "1"
    assert suite.get("name") == 'snapq <w8a8 "x">?[31m& on local'
    assert suite.find("testcase/failure") is not None


def test_the_history_is_for_its_user_alone(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "new" / "history.sqlite"
    store.remember([result(model, 5)], path)
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    store.recent(path=path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_output_that_is_no_longer_compared_fails_the_gate(model: Path) -> None:
    golden = BenchGolden(
        output="logits", samples=2, exact=True, largest=0.0, unit="steps", span=100.0
    )
    before = result(model, 5).model_copy(update={"golden": (golden,)})
    found = compare(before, result(model, 5), 1.05)
    assert not found.passed
    assert [check.name for check in found.checks if not check.passed] == ["golden logits"]


def test_runs_that_took_no_time_are_compared_with_nothing(model: Path) -> None:
    with pytest.raises(ConfigError, match="The older result has runs that took no time"):
        compare(result(model, 0), result(model, 5), 1.05)
