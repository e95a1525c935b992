"""The section on mixed precision: every candidate with its words, and what hurts."""

from __future__ import annotations

from snapq.report.drawing import HEIGHT, WIDTH, tradeoff_plane
from snapq.report.html import render_html
from tests.report import report_records


def test_candidates_stand_where_their_figures_put_them() -> None:
    drawn = tradeoff_plane(report_records.tradeoff())
    assert drawn is not None
    assert [mark.kind for mark in drawn.marks] == ["uniform", "chosen", "uniform", "uniform"]
    assert (drawn.marks[0].x, drawn.marks[0].y) == (0.0, HEIGHT)
    assert (drawn.marks[-1].x, drawn.marks[-1].y) == (WIDTH, 0.0)


def test_one_estimate_alone_draws_nothing() -> None:
    assert tradeoff_plane(report_records.tradeoff()[:1]) is None


def test_the_page_has_every_candidate_and_the_worst_tensor_with_its_cause() -> None:
    page = render_html(report_records.realistic())
    for record in report_records.tradeoff():
        assert record.label in page
    assert "in 4 of 256 steps" in page
    assert "/block/&lt;b&gt;0&lt;/b&gt;" in page.replace("<wbr>", "")


def test_a_run_without_a_choice_has_no_such_section() -> None:
    assert 'id="mixture"' not in render_html(report_records.realistic(tradeoff=()))
