"""benchmarks.prediction says of every figure that must hold whether it does."""

from __future__ import annotations

from benchmarks.prediction.figures import REFERENCE, Board
from benchmarks.prediction.fit import validate
from benchmarks.prediction.goals import goals
from benchmarks.prediction.table import Entry
from tests.prediction.test_fit import cases


def entry(board: str, count: int, noise: float) -> Entry:
    made = cases(count, noise=noise)
    found = validate(made)
    return Entry(Board(board, ("chip",)), "float", "onnx", "any", "qcs9075", made, found)


def row(one: Entry, public: int = 500) -> str:
    _, _, *rows = goals([one], {one.board.name: public})
    return rows[0] if rows else ""


def test_what_holds_and_what_does_not_is_told() -> None:
    assert row(entry(REFERENCE, 40, 0.05)).endswith("| holds |")
    assert "missed: networks" in row(entry(REFERENCE, 20, 0.05))
    assert "missed: median" in row(entry(REFERENCE, 40, 0.4))


def test_by_transfer_more_may_be_missed_and_boards_with_few_figures_do_not_count() -> None:
    assert row(entry("another", 20, 0.15)).endswith("| holds |")
    assert not row(entry("another", 20, 0.15), public=40)
