"""Changes are kept where the estimate is lower, within a number of compiles."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from snapq.errors import QnnError, SnapqError, UnansweredError
from snapq.npu.judged.search import Chosen, Costs, Found, fastest

Figures = dict[Chosen, Costs | SnapqError]


def search(figures: Figures, tries: int = 8) -> Found:
    """A search over the changes a, b and c, of which these figures are known."""

    def ask(forms: Sequence[Chosen]) -> list[Costs | SnapqError]:
        return [figures[form] for form in forms]

    return fastest(("a", "b", "c"), ask, tries)


ALONE: Figures = {(): {"x": 100.0}, ("a",): {"x": 95.0}, ("b",): {"x": 80.0}, ("c",): {"x": 99.5}}


def test_what_helps_alone_is_kept_only_where_it_helps_together() -> None:
    assert search({**ALONE, ("b", "a"): {"x": 85.0}}).chosen == ("b",)
    found = search({**ALONE, ("b", "a"): {"x": 70.0}})
    assert (found.chosen, found.costs, found.left) == (("b", "a"), {"x": 70.0}, ("c",))


def test_no_more_forms_are_estimated_than_asked_for() -> None:
    assert len(search(ALONE, tries=3).trials) == 3
    assert search(ALONE, tries=3).untried == ("c",)
    assert search({**ALONE, ("b", "a"): {"x": 85.0}}).untried == ()
    assert search(ALONE, tries=2).left == ("a",) or search(ALONE, tries=2).chosen == ("a",)


def test_a_change_that_slows_one_device_down_is_left() -> None:
    figures: Figures = {form: {"x": 100.0, "y": 100.0} for form in ALONE}
    assert search({**figures, ("a",): {"x": 50.0, "y": 102.0}}).chosen == ()
    found = search({**figures, ("a",): {"x": 50.0, "y": 100.5}})
    assert found.chosen == ("a",)
    assert found.best_of("y") == 100.0


def test_a_form_that_compiles_is_faster_than_one_that_does_not() -> None:
    fails = QnnError("The compiler ended.")
    found = search({(): fails, ("a",): fails, ("b",): {"x": 10.0}, ("c",): fails})
    assert (found.chosen, found.start) == (("b",), None)
    assert found.trials[1].failure == "The compiler ended."


def test_nothing_is_concluded_from_an_answer_that_may_come_another_time() -> None:
    with pytest.raises(UnansweredError):
        search({**ALONE, ("a",): UnansweredError("Time is up.")})
