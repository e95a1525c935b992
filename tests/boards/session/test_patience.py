"""A board that goes on for ever is told so: by what the protocol asks for, not by what it says."""

from __future__ import annotations

import pytest

from snapq.benchmarking.targets.base import Candidate
from snapq.benchmarking.targets.board import BoardTarget
from snapq.boards.session import answers
from snapq.boards.session.measure import Limits
from snapq.boards.session.patience import Patience
from snapq.errors import DeviceError
from tests.boards import boards, sshd
from tests.boards.liar import Edit, lying

SHORT = Limits(step_s=1, silence_s=10, wait_s=1)
ENDLESS = {
    "signs of life": Edit("conditions", "for ever"),
    "progress": Edit("conditions", "for ever", value='{"type": "progress", "share": 0.5}'),
    "others that measure": Edit("hello", "for ever", value='{"type": "waiting", "holder": "ada"}'),
    "blank lines": Edit("conditions", "for ever", value=" "),
}


@pytest.mark.board
@pytest.mark.parametrize("edit", ENDLESS.values(), ids=ENDLESS.keys())
def test_a_board_that_only_says_that_it_lives_is_ended(
    edit: Edit, server: sshd.Sshd, candidates: list[Candidate]
) -> None:
    with lying(server, boards.board(server), [edit], "endless") as board:
        target = BoardTarget(board, limits=SHORT)
        with pytest.raises(DeviceError, match="says that it lives, and has had no result for 3 s"):
            target.measure(candidates[:1], boards.QUICK.model_copy(update={"min_runs": 1}))


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def loaded(first_ms: float) -> answers.Loaded:
    said = {
        "label": "w8a8",
        "create_cold_ms": 1,
        "create_warm_ms": 1,
        "first_ms": first_ms,
        "rss_before": 1,
        "rss_loaded": 1,
        "options": {},
        "golden": [],
        "runtime": {},
        "placement": {"npu": 0, "cpu": 1, "partitions": None, "cpu_nodes": []},
    }
    return answers.Loaded.model_validate(said)


def after_a_load(first_ms: float) -> tuple[Patience, Clock]:
    clock = Clock()
    patience = Patience("board", boards.QUICK, step_s=10, wait_s=5, tries=1, clock=clock)
    clock.now = 2.0
    patience.heard(loaded(first_ms))
    return patience, clock


def test_turns_that_never_come_to_an_end_are_ended() -> None:
    patience, clock = after_a_load(first_ms=1)

    def take_turns() -> None:
        while clock.now < 1000:
            clock.now += 1
            patience.heard(answers.Turn(label="w8a8", ms=[0.0]))
            patience.check()

    with pytest.raises(DeviceError, match=r"goes on measuring after \d+ s, longer"):
        take_turns()


def test_a_slow_model_gets_the_time_that_it_needs() -> None:
    patience, clock = after_a_load(first_ms=1500)
    for _ in range(20):
        clock.now += 5 * 1.5
        patience.heard(answers.Turn(label="w8a8", ms=[1500.0]))
        patience.check()


def test_a_first_inference_longer_than_all_that_passed_buys_no_time() -> None:
    patience, clock = after_a_load(first_ms=1e9)
    clock.now = 10_000.0
    with pytest.raises(DeviceError, match="no result"):
        patience.check()
