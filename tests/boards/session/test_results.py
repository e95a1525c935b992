"""What a board says of itself, turned into results and needs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from snapq.benchmarking.targets.board_results import thermal_of
from snapq.boards import environment
from snapq.boards.requirements import check_requirements
from snapq.boards.session.answers import Conditions
from snapq.boards.session.fallbacks import explained
from snapq.boards.session.probe import (
    BoardFacts,
    probe,
    profile_of,
)
from snapq.boards.transports.base import connect
from snapq.errors import DeviceError
from tests.boards import boards, sshd


@pytest.fixture(scope="module")
def facts(server: sshd.Sshd) -> BoardFacts:
    with connect(server.address()) as transport:
        return probe(transport, boards.board(server))


def conditions(when: str, limit: int, cooling: int | None, celsius: float = 40.0) -> Conditions:
    return Conditions(
        when=when,
        at_s=0,
        celsius={"0 cpu": celsius},
        cpu_khz=[limit, limit // 2],
        cpu_limit_khz=[limit, limit],
        governors=["performance"],
        cooling=cooling,
        load=0.0,
    )


@pytest.mark.parametrize(
    ("limits", "cooling", "throttled"),
    [
        ((2_000_000, 2_000_000, 2_000_000), (0, 0, 0), False),
        ((2_000_000, 1_500_000, 2_000_000), (0, 0, 0), True),
        ((2_000_000, 2_000_000, 2_000_000), (0, 2, 0), True),
        ((2_000_000, 1_950_000, 2_000_000), (None, None, None), False),
        ((0, 0, 0), (None, None, None), None),
    ],
)
def test_throttling_is_seen_in_limits_and_cooling(
    limits: tuple[int, int, int], cooling: tuple[int | None, ...], throttled: bool | None
) -> None:
    moments = zip(("before", "during", "after"), limits, cooling, strict=True)
    assert thermal_of([conditions(*moment) for moment in moments]).throttled is throttled


def test_the_hottest_and_slowest_moments_are_kept() -> None:
    found = thermal_of(
        [
            conditions("before", 2_000_000, None, 40),
            conditions("during", 1_000_000, None, 71),
            conditions("after", 2_000_000, None, 60),
        ]
    )
    assert (found.before, found.highest) == ({"0 cpu": 40.0}, {"0 cpu": 71.0})
    assert found.cpu_khz_lowest == (1_000_000, 500_000)


def test_a_wrong_version_of_onnxruntime_is_not_used(facts: BoardFacts) -> None:
    assert environment.find(facts) == environment.Environment(None)
    old = facts.python.model_copy(
        update={"distributions": {**facts.python.distributions, "onnxruntime": "1.0.0"}}
    )
    assert environment.find(facts.model_copy(update={"python": old})) is None


def test_an_aarch64_board_also_needs_the_npus_library(facts: BoardFacts) -> None:
    arm = facts.system.model_copy(update={"machine": "aarch64"})
    wanted = environment.required(facts.model_copy(update={"system": arm}))
    assert set(wanted) == {"numpy", "onnxruntime", "onnxruntime-qnn"}
    assert "onnxruntime-qnn" not in environment.required(facts)


def test_the_kernels_number_of_the_soc_finds_its_profile(
    facts: BoardFacts, server: sshd.Sshd
) -> None:
    told = facts.model_copy(update={"soc": {"soc_id": "557"}})
    found = profile_of(boards.board(server), told)
    assert found is not None
    assert found.name == "sm8650"
    with pytest.raises(DeviceError, match="the board says that it is a sm8650"):
        profile_of(replace(boards.board(server), profile="qcs9075"), told)


def test_a_clock_years_off_is_told_and_does_no_harm(facts: BoardFacts) -> None:
    found = {
        need.name: need
        for need in check_requirements(facts.model_copy(update={"clock": 0.0}), 1.8e9)
    }
    assert not found["clock"].ok
    assert found["clock"].found.startswith("1970-01-01")


def test_the_runtimes_own_words_are_explained() -> None:
    said = explained(
        "npu context binary",
        "session failed",
        "[E:onnxruntime] QNN SetupBackend failed Transport layer setup failed: 14001",
    )
    assert "NPU does not answer" in said.reason or "14001" in said.reason
    assert said.hint


def test_incomplete_libraries_are_told_with_the_way_out() -> None:
    said = explained("cpu", "ModuleNotFoundError: No module named 'numpy'", "")
    assert "snapq board clean" in str(said.hint)
