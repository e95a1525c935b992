"""Axes have round numbers, whatever the values are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapq.report.axes import powers, ticks
from snapq.report.html import render_html
from tests.report import report_records as records


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (0.5, 1.0, ["0.5", "0.6", "0.7", "0.8", "0.9", "1"]),
        (9.65, 23.1, ["10", "15", "20"]),
        (0, 12_345, ["0", "5,000", "10,000"]),
        (-3.0, 3.0, ["−2", "0", "2"]),
        (7.0, 7.0, ["7"]),
    ],
)
def test_ticks_are_round_numbers_in_the_range(low: float, high: float, texts: list[str]) -> None:
    assert [tick.text for tick in ticks(low, high, lambda value: value)] == texts


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9))
def test_ticks_lie_in_the_range_and_are_few(low: float, span: float) -> None:
    high = low + span
    found = [tick.at for tick in ticks(low, high, lambda value: value)]
    slack = 1e-6 * max(abs(low), abs(high), 1e-9)
    assert len(found) <= 7
    assert all(low - slack <= at <= high + slack for at in found)


def test_powers_are_numbers_of_a_logarithmic_axis() -> None:
    assert [tick.text for tick in powers(0.3, 30, float)] == ["0.5", "1", "2", "5", "10", "20"]
    assert [tick.text for tick in powers(1e-5, 10, float)][-2:] == ["1", "10"]
    assert [tick.text for tick in powers(0.61, 0.63, float)] == ["0.61", "0.63"]


def test_every_small_drawing_has_axes() -> None:
    page = render_html(records.realistic())
    assert page.count("<svg viewBox") == page.count('<g class="axes"') == 1
