"""The history of benchmarks, and the gate against slowing down."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from snapq.benchmarking.history import store
from snapq.benchmarking.history.calibrated import own_measurements
from snapq.benchmarking.history.compare import compare
from snapq.benchmarking.history.junit import junit
from snapq.benchmarking.history.predicted import beside, with_predictions
from snapq.benchmarking.history.wanted import Wanted
from snapq.benchmarking.targets.base import Measurement
from snapq.benchmarking.targets.local_records import Timed, local_records
from snapq.config import BenchmarkConfig
from snapq.errors import ConfigError, LeftOutWarning, StorageError
from snapq.records import Origin, PredictionRecord
from snapq.records.bench import BenchGolden, BenchRecord, BenchSubject
from snapq.report import benches


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
    assert store.recent(Wanted(precision="w8a8"), path=path) == (first,)
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


def test_a_result_that_cannot_be_read_does_not_hide_the_others(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    lost, kept = result(model, 5), result(model, 6, seed=1)
    store.remember([kept, lost], path)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE benchmarks SET record = x'00' WHERE run_id = ?", (lost.run_id,))
    with pytest.warns(LeftOutWarning, match="1 result is left out"):
        assert [record.run_id for record in store.recent(limit=1, path=path)] == [kept.run_id]
    with pytest.raises(StorageError, match="another version of snapq wrote it, or it is damaged"):
        store.find(lost.run_id, path)


@pytest.mark.parametrize(
    ("after_ms", "passed"), [(5.0, True), (5.1, True), (7.5, False), (4.0, True)]
)
def test_the_gate_fails_on_a_slowdown_that_chance_does_not_explain(
    model: Path, after_ms: float, passed: bool
) -> None:
    found = compare(result(model, 5), result(model, after_ms, seed=1), max_slowdown=1.05)
    assert found.ratio == pytest.approx(after_ms / 5, rel=0.03)
    assert found.passed is passed
    assert len(repr(found)) < 120


def test_runs_under_other_conditions_are_not_compared_in_silence(model: Path) -> None:
    before = result(model, 5)
    threads = before.protocol.model_copy(update={"threads": 4})
    found = compare(before, before.model_copy(update={"protocol": threads}), max_slowdown=2)
    assert not found.passed
    assert found.differences == ("threads: 1 before, 4 now.",)


def test_the_checks_are_cases_of_junit_whatever_names_they_have(model: Path) -> None:
    hostile = result(model, 9, label='<w8a8 "x">\x1b[31m&')
    suite = ElementTree.fromstring(
        junit(compare(result(model, 5, label=hostile.model.label), hostile, 1.05))
    )
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


def subject(deployment: str = "tiny", **changes: object) -> BenchSubject:
    values = {"given_sha256": "aa" * 32, "stage": "package", "precision": "w8a8"} | changes
    return BenchSubject(deployment=deployment, **values)  # type: ignore[arg-type]


def test_the_history_finds_results_by_what_they_measured(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    board = result(model, 5).target.model_copy(update={"name": "bench-1", "soc": "qcs9075"})
    tiny = result(model, 5).model_copy(update={"subject": subject(), "target": board})
    other = result(model, 6).model_copy(
        update={"subject": subject("detector", given_sha256="bb" * 32, evaluation_sha256="cc" * 32)}
    )
    source = result(model, 9, "float32").model_copy(
        update={"subject": subject(stage="source", precision="float32")}
    )
    store.remember([tiny, other, source], path)
    asked = {
        "deployment": ("detector", {other.run_id}),
        "stage": ("source", {source.run_id}),
        "precision": ("w8a8", {tiny.run_id, other.run_id}),
        "model": ("bbbb", {other.run_id}),
        "device": ("qcs9075", {tiny.run_id}),
        "target": ("bench-1", {tiny.run_id}),
        "data": ("cccc", {other.run_id}),
    }
    for name, (value, found) in asked.items():
        wanted = Wanted(**{name: value})
        assert {one.run_id for one in store.recent(wanted, path=path)} == found, name
    both = Wanted(deployment="tiny", precision="w8a8")
    assert [one.run_id for one in store.recent(both, path=path)] == [tiny.run_id]


def test_a_history_of_an_earlier_version_is_read_and_added_to(model: Path, tmp_path: Path) -> None:
    path, first = tmp_path / "history.sqlite", result(model, 5)
    store.remember([first], path)
    with sqlite3.connect(path) as database:
        database.execute("DROP TABLE subjects")
    assert store.recent(Wanted(precision="w8a8"), path=path) == (first,)
    assert store.recent(Wanted(deployment="tiny"), path=path) == ()
    store.remember([result(model, 6)], path)
    assert len(store.recent(path=path)) == 2


def test_results_of_two_models_are_refused_or_said_to_be_of_another(model: Path) -> None:
    before = result(model, 5).model_copy(update={"subject": subject()})
    for other, said in (
        (subject("detector"), "deployment: tiny before, detector now"),
        (subject(precision="w8a16"), "precision: w8a8 before, w8a16 now"),
        (subject(stage="source"), "stage: package before, source now"),
    ):
        after = result(model, 5).model_copy(update={"subject": other})
        with pytest.raises(ConfigError, match=f"Another model: {said}"):
            compare(before, after, 1.05)
        assert compare(before, after, 1.05, other_model=True).remarks == (
            f"Another model: {said}.",
        )


def test_another_version_of_the_model_is_told(model: Path) -> None:
    before = result(model, 5).model_copy(update={"subject": subject()})
    after = result(model, 5).model_copy(update={"subject": subject(given_sha256="bb" * 32)})
    found = compare(before, after, 1.05)
    assert found.passed
    assert found.remarks == (
        "The model as given is another version: aaaaaaaa before, bbbbbbbb now.",
    )


def test_times_that_are_no_claim_are_not_compared_in_silence(model: Path) -> None:
    few = result(model, 5)
    few = few.model_copy(update={"samples": few.samples[:2]})
    (bad,) = [check for check in compare(few, result(model, 5), 2).checks if not check.passed]
    assert (bad.name, "only 20 runs" in bad.found) == ("claim", True)


def test_counted_instructions_are_never_called_a_time(model: Path) -> None:
    counted = result(model, 5).model_copy(
        update={"where": Origin.EMULATED, "instructions": 5_000_000}
    )
    checks = compare(counted, counted, 1.01).checks
    assert [check.name for check in checks] == ["conditions", "instructions"]
    told = [benches.load_text(counted), *benches.lines(counted), benches.caption(counted)]
    assert "5.00 million instructions an inference" in " ".join(told)
    assert not [text for text in told if " ms" in text or "µs" in text or "time" in text]


def on_board(index: int, ratio: float, board: str = "bench-1", **changes: object) -> BenchRecord:
    """A model that was predicted, and measured on a board at `ratio` of the prediction."""
    us = 500.0 * (index + 1)
    place = Path(__file__)
    record = result(place, us * ratio / 1000)
    target = record.target.model_copy(update={"name": board, "soc": "qcs9075"})
    values = {
        "where": Origin.MEASURED,
        "model": record.model.model_copy(update={"sha256": f"{index:064x}"}),
        "target": target,
        "runtime": record.runtime.model_copy(update={"backend": "htp"}),
        "valid": record.valid.model_copy(update={"all_on_npu": True, "not_throttled": True}),
        "predicted": PredictionRecord(
            label="w8a8",
            device="qcs9075",
            us=us,
            us_lower=us * 0.9,
            us_upper=us * 1.1,
            estimated_on="qcs9075",
            published_us=us,
        ),
    }
    return record.model_copy(update=values | changes)


def test_a_board_with_enough_measured_models_calibrates_its_predictions(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    store.remember([on_board(index, 1.3) for index in range(6)], path)
    found = own_measurements(["qcs9075", "sm8650"], path=path).by_device
    assert found.keys() == {"qcs9075"}
    assert (found["qcs9075"].board, found["qcs9075"].models) == ("bench-1", 6)
    assert found["qcs9075"].us(1000) == pytest.approx(1300, rel=0.05)


def test_of_a_model_the_newest_measurement_counts_and_of_boards_the_one_asked_for(
    tmp_path: Path,
) -> None:
    path = tmp_path / "history.sqlite"
    store.remember([on_board(index, 3.0) for index in range(3)], path)
    store.remember([on_board(index, 1.2) for index in range(3)], path)
    store.remember([on_board(index, 2.0, "bench-2") for index in range(4)], path)
    most = own_measurements(["qcs9075"], path=path).by_device["qcs9075"]
    asked = own_measurements(["qcs9075"], "bench-1", path).by_device["qcs9075"]
    assert (most.board, most.models, asked.board, asked.models) == ("bench-2", 4, "bench-1", 3)
    assert asked.us(1000) == pytest.approx(1200, rel=0.1)


def test_what_published_latencies_are_not_does_not_calibrate(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    plain = on_board(0, 1.3)
    slow = plain.protocol.model_copy(update={"performance_mode": "balanced"})
    hot = plain.valid.model_copy(update={"not_throttled": False})
    cpu = plain.runtime.model_copy(update={"backend": "cpu"})
    others: list[dict[str, object]] = [
        {"protocol": slow},
        {"valid": hot},
        {"runtime": cpu},
        {"where": Origin.EMULATED},
        {"predicted": None},
    ]
    store.remember([on_board(i, 1.3, **changes) for i, changes in enumerate(others)], path)
    assert own_measurements(["qcs9075"], path=path).by_device == {}


def test_a_damaged_history_calibrates_nothing_and_says_why(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    path.write_bytes(b"not a database, but somebody's file" * 100)
    found = own_measurements(["qcs9075"], path=path)
    assert found.by_device == {}
    assert "cannot be used" in str(found.problem)


def test_a_prediction_goes_to_what_ran_on_the_npu_of_its_own_chip() -> None:
    plain = on_board(0, 1.0, predicted=None)
    cpu = plain.model_copy(update={"runtime": plain.runtime.model_copy(update={"backend": "cpu"})})
    other = plain.model_copy(update={"target": plain.target.model_copy(update={"soc": "sm8650"})})
    said = on_board(0, 1.0).predicted
    assert said is not None
    found = [one.predicted for one in beside([plain, cpu, other], [said])]
    assert found == [said, None, None]


def test_what_cannot_be_read_as_a_bundle_says_why_nothing_is_predicted(tmp_path: Path) -> None:
    measured = Measurement((), (), {}, (), (on_board(0, 1.0, predicted=None),))
    (found,) = with_predictions(measured, tmp_path).records
    assert found.predicted is not None
    assert found.predicted.us is None
    assert "manifest" in found.predicted.reason


def test_predicted_stands_beside_measured() -> None:
    near, far = on_board(0, 1.05), on_board(0, 1.5)
    assert "% above that, inside the 80 % interval" in str(benches.predicted_text(near))
    assert any("outside the 80 % interval" in line for line in benches.lines(far))
