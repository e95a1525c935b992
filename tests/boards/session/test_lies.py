"""A board that leaves out or falsifies what proves its figures gets no claim, with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from snapq.benchmarking.history.compare import compare
from snapq.benchmarking.targets.base import Candidate, Measurement
from snapq.benchmarking.targets.board import BoardTarget
from snapq.boards.session.measure import Limits
from snapq.config import BenchmarkConfig
from snapq.errors import ConfigError, SnapqError
from tests.boards import boards, sshd
from tests.boards.liar import Edit, lying

REPEATED = boards.QUICK.model_copy(update={"repeats": 2, "min_runs": 60})
ONCE = boards.QUICK.model_copy(update={"repeats": 1, "min_runs": 1})


@dataclass(frozen=True)
class Lie:
    """What a board says, and the reason that is told or the error in which it ends."""

    edits: tuple[Edit, ...]
    reason: str


NO_CLAIM = (
    {
        "no golden outputs": Lie(
            (Edit("loaded", "set", ["golden"], "[]"),), "not compared with all golden data"
        ),
        "one process": Lie((Edit("loaded", "drop", after=2),), "only 1 of 2 fresh processes"),
        "no state": Lie((Edit("conditions", "drop"),), "did not tell its state"),
        "times of nothing": Lie((Edit("turn", "set", ["ms"], "[0]"),), "taken no time"),
        "runs less": Lie((), "of 60 runs"),
    },
    {
        "an output less": Lie(
            (Edit("loaded", "set", ["golden", 0], "{}"),), "not compared with all golden data"
        ),
        "longer than it took": Lie(
            tuple(Edit("turn", "times 1000", ["ms", "*"]) for _ in range(2)), "more than the"
        ),
    },
)
REFUSED = {
    "half a surrogate": Lie((Edit("hello", "set", ["started"], r'"\ud800"'),), "no answer"),
    "half a surrogate in a path": Lie(
        (Edit("*", "set", ["folder"], r'"/\udfff"'),), "no answer|makes no sense"
    ),
    "half a surrogate in an error": Lie(
        (Edit("hello", "say", value=r'{"type": "error", "what": "\ud834 went wrong"}'),),
        "no answer|went wrong",
    ),
    "a version that is none": Lie(
        (Edit("board", "set", ["python", "version"], '"3.\\u00b2"'),), "has Python"
    ),
    "a fallback that was not sent": Lie(
        (Edit("fallback", "set", ["fallback"], '"warp drive"'),), "a fallback that was not sent"
    ),
    "no word on the fallback": Lie((Edit("fallback", "drop"),), "incomplete"),
    "the end of a model that was not sent": Lie(
        (Edit("fallback", "say", value='{"type": "exhausted", "label": "x"}'),), "not sent"
    ),
    "numbers without end": Lie(
        (Edit("turn", "set", ["ms", 0], "9" * 5000),), "no answer|makes no sense"
    ),
    "a list": Lie((Edit("turn", "say", value="[[[]]]"),), "no answer"),
    "half an answer": Lie((Edit("loaded", "cut"),), "no answer|early|broke"),
    "a negative difference": Lie(
        (Edit("loaded", "set", ["golden", "*", "*", "largest"], "-1"),), "makes no sense"
    ),
}


def measured(
    server: sshd.Sshd, candidates: list[Candidate], edits: Sequence[Edit], how: BenchmarkConfig
) -> Measurement:
    with lying(server, boards.board(server), edits, "a-liar") as board:
        target = BoardTarget(board, limits=Limits(step_s=60, silence_s=10, wait_s=1))
        return target.measure(candidates, how)


@pytest.mark.parametrize("lies", NO_CLAIM, ids=[", ".join(lies) for lies in NO_CLAIM])
def test_what_proves_nothing_is_no_claim(
    lies: dict[str, Lie], server: sshd.Sshd, candidates: list[Candidate]
) -> None:
    edits = [edit for lie in lies.values() for edit in lie.edits]
    found = measured(server, candidates, edits, REPEATED)
    valid = found.records[1].valid
    assert not valid.ok
    for name, lie in lies.items():
        assert any(lie.reason in reason for reason in valid.reasons), (name, valid.reasons)
    if "times of nothing" in lies:
        assert found.speedups == ()
        with pytest.raises(ConfigError, match="took no time"):
            compare(found.records[0], found.records[1], 1.05, other_model=True)


@pytest.mark.parametrize("lie", REFUSED.values(), ids=REFUSED.keys())
def test_what_makes_no_sense_is_one_error(
    lie: Lie, server: sshd.Sshd, package: list[Candidate]
) -> None:
    with pytest.raises(SnapqError, match=lie.reason) as raised:
        measured(server, package, lie.edits, ONCE)
    assert str(raised.value).isprintable()
