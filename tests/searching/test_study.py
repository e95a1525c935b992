"""A search in its storage: it goes on, repeats nothing, keeps what is done. Outcomes are given."""

from __future__ import annotations

import json
import socket
import time
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest

from snapq.errors import ConfigError, SnapqError, StorageError
from snapq.searching import owner, storing
from snapq.searching.plan import Plan
from snapq.searching.ranked import Told, float_margin, keeps, rivals
from snapq.searching.running import Work, elsewhere, here
from snapq.searching.space import Dimension, Space
from snapq.searching.study import Study
from snapq.searching.trial import COMPLETE, FAILED, Limits, TrialOutcome, TrialSpec

BASE = {"name": "net", "stages": [{"prune": {}}, {"quantize": {}}], "seed": 0}
PLAN = Plan(
    "net",
    BASE,
    "/nowhere",
    "sm8650",
    Space((Dimension("seed", (0, 1, 2)), Dimension("stages.prune.ratio", (None, 0.2, 0.4)))),
    ({"seed": 0, "stages.prune.ratio": None},),
    seed=0,
)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"journal:{tmp_path / 'journal.log'}"


def outcome(spec: TrialSpec) -> TrialOutcome:
    """As of a network that gets faster and worse by pruning."""
    config = json.loads(spec.config)
    ratio = config["stages"][0].get("prune", {}).get("ratio", 0.0)
    loss = ratio**2 + 0.01 * config["seed"]
    return TrialOutcome(
        spec.number, COMPLETE, us=100 * (1 - ratio), loss=loss, bytes=1000, config=spec.config
    )


def test_a_search_goes_on_where_it_ended_and_makes_no_point_twice(url: str) -> None:
    cache, seen = Path("cache"), []
    for _ in range(3):
        study = Study(url, "net", PLAN)
        for _ in range(3):
            spec = study.ask(cache)
            assert spec is not None
            seen.append(spec.digest)
            study.tell(spec, outcome(spec))
    assert len(set(seen)) == len(seen) == 9
    assert not study.spent
    assert study.ask(cache) is None  # the space has no more
    assert study.spent
    assert Study(url, "net").plan == PLAN
    assert study.told()[0].outcome.number == 0
    assert study.told()[0].choices == PLAN.first[0]
    best = rivals(study.told(), Limits())
    assert [(one.us, round(one.loss, 2)) for one in best] == [(60, 0.16), (80, 0.04), (100, 0)]


def test_what_was_interrupted_is_the_next_trial(url: str) -> None:
    study = Study(url, "net", PLAN)
    spec = study.ask(Path("cache"))
    assert spec is not None
    study.give_back(spec.number)
    again = study.ask(Path("cache"))
    assert again is not None
    assert again.digest == spec.digest
    assert study.told() == []


def test_what_a_dead_process_began_is_taken_over_and_what_a_living_one_has_is_not(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = Study(url, "net", PLAN)
    mine = study.ask(Path("cache"))
    with monkeypatch.context() as patch:
        gone = {**owner.owner(), "pid": 2**22 + 1, "started": 0.0}
        patch.setattr(owner, "owner", lambda: gone)
        theirs = study.ask(Path("cache"))
    assert mine is not None
    assert theirs is not None
    other = Study(url, "net")
    assert other.take_over() == 1
    again = other.ask(Path("cache"))
    assert again is not None
    assert again.digest == theirs.digest


def test_a_trial_of_another_machine_is_taken_over_when_that_is_silent_and_told_once(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = Study(url, "net", PLAN)
    with monkeypatch.context() as patch:
        patch.setattr(socket, "gethostname", lambda: "another")
        spec = study.ask(Path("cache"))
    assert spec is not None
    here_ = Study(url, "net")
    assert here_.take_over() == 0  # it began just now
    with monkeypatch.context() as patch:
        patch.setattr(owner, "SILENT_S", -1.0)
        assert here_.take_over() == 1
    again = here_.ask(Path("cache"))
    assert again is not None
    assert again.digest == spec.digest
    assert not study.beat(spec.number)
    assert study.tell(spec, outcome(spec)) is None  # it was not gone after all: that comes too late
    assert here_.tell(again, outcome(again)) is not None
    assert len(study.told()) == 1


def test_a_process_of_another_container_is_not_looked_for_among_those_of_this_machine() -> None:
    there = {**owner.owner(), "pid": 2**22 + 1, "space": 1}
    assert not owner.is_gone(there, None)
    assert owner.is_gone({**there, "space": owner.owner()["space"]}, None)


def test_signs_of_life_keep_a_trial(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    study = Study(url, "net", PLAN)
    monkeypatch.setattr(owner, "SILENT_S", 0.3)
    with monkeypatch.context() as patch:
        patch.setattr(socket, "gethostname", lambda: "another")
        spec = study.ask(Path("cache"))
    assert spec is not None
    with owner.signs(lambda: study.beat(spec.number), every_s=0.05):
        time.sleep(0.5)
        assert Study(url, "net").take_over() == 0
    time.sleep(0.4)
    assert Study(url, "net").take_over() == 1


def test_points_beyond_a_limit_are_not_on_the_frontier(url: str) -> None:
    study = Study(url, "net", PLAN)
    limits = Limits(max_drop=0.05, max_us=90.0)
    for _ in range(9):
        spec = study.ask(Path("cache"), limits)
        assert spec is not None
        study.tell(spec, outcome(spec))
    assert {one.us for one in study.rivals(limits)} == {80}
    assert not keeps(Told({}, replace(study.told()[0].outcome, bytes=10)), Limits(max_bytes=9))


def test_what_quantizing_won_back_at_most_says_what_is_lost_in_float() -> None:
    done = TrialOutcome(0, COMPLETE, us=1.0, loss=0.2, near=0.2, float_near=0.28)
    told = [Told({}, replace(done, number=number)) for number in range(5)]
    assert float_margin(told[:4]) is None
    assert float_margin(told) == pytest.approx(0.1)
    told.append(Told({}, replace(done, near=0.25, float_near=None)))
    assert float_margin(told) == pytest.approx(0.1 + 0.0625)


class Deaf:
    """Takes trials, and loses every second one as a worker that dies does."""

    def __init__(self) -> None:
        self.count, self.ended = 0, False

    def submit(self, _function: object, spec: TrialSpec, /) -> Future[TrialOutcome]:
        future: Future[TrialOutcome] = Future()
        self.count += 1
        if self.count % 2:
            future.set_result(outcome(spec))
        else:
            future.set_exception(RuntimeError("killed"))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.ended = cancel_futures and not wait


def test_a_worker_that_dies_costs_its_trial_only(url: str, tmp_path: Path) -> None:
    study, told = Study(url, "net", PLAN), []
    work = Work(study, tmp_path, Limits(), 6, told=told.append)
    elsewhere(work, Deaf(), 2, lambda _count: None)
    assert [one.outcome.state for one in told].count(COMPLETE) == 3
    lost = next(one.outcome for one in told if one.outcome.state == FAILED)
    assert "killed" in lost.sentence
    assert len(study.told()) == 6


def test_ctrl_c_gives_back_what_is_out_and_cancels_it(url: str, tmp_path: Path) -> None:
    def interrupt(_told: Told) -> None:
        raise KeyboardInterrupt

    study, executor = Study(url, "net", PLAN), Deaf()
    with pytest.raises(KeyboardInterrupt):
        elsewhere(
            Work(study, tmp_path, Limits(), 6, told=interrupt), executor, 3, lambda _count: None
        )
    assert executor.ended
    assert study.running() == 0
    assert 1 <= len(study.told()) < 3


def test_a_search_in_which_all_fails_ends_with_the_reason(url: str, tmp_path: Path) -> None:
    study, told = Study(url, "net", PLAN), []
    with pytest.raises(SnapqError, match=r"first 5 trials all failed. model"):
        here(Work(study, tmp_path, Limits(), 100, told=told.append), lambda _count: None)
    assert {one.outcome.state for one in told} == {FAILED}


def test_no_password_of_a_storage_is_told(tmp_path: Path) -> None:
    assert storing.shown("postgresql://me:s3cret@host:1/db?sslpassword=abc&a=b") == (
        "postgresql://me:***@host:1/db?sslpassword=***&a=b"
    )
    with pytest.raises(SnapqError) as caught:
        Study("postgresql://me:s3cret@localhost:1/db", "net", PLAN)
    assert "s3cret" not in str(caught.value)
    with pytest.raises(ConfigError, match="no storage"):
        storing.opened("me")
    with pytest.raises(StorageError, match="no search `other`"):
        Study(storing.sqlite(tmp_path / "a.sqlite"), "other")


def test_a_file_of_sqlite_is_a_storage_too(tmp_path: Path) -> None:
    url = storing.sqlite(tmp_path / "search.sqlite")
    study = Study(url, "net", PLAN)
    spec = study.ask(Path("cache"))
    assert spec is not None
    study.tell(spec, outcome(spec))
    assert len(Study(url, "net").told()) == 1
