"""Numbers as text."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapq.report import formatting as fmt


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (fmt.number(0.0), "0"),
        (fmt.number(9.999), "10.0"),
        (fmt.number(-1234.5), "−1,234"),
        (fmt.number(1.5e-7), "1.50e-07"),
        (fmt.number(math.nan), "not a number"),
        (fmt.size(999), "999 B"),
        (fmt.size(999_600), "1.00 MB"),
        (fmt.size(18_583_000), "18.6 MB"),
        (fmt.microseconds(999.9), "1.00 ms"),
        (fmt.microseconds(232.8), "233 µs"),
        (fmt.microseconds(2_500_000), "2.50 s"),
        (fmt.seconds(185.2), "3 min 05 s"),
        (fmt.decibels(math.inf), "∞ dB (identical)"),
        (fmt.cosine(0.9999999), "0.99999"),
        (fmt.cosine(1.0), "1.00000"),
        (fmt.metric_value("top1", 0.878), "87.8 %"),
        (fmt.metric_value("my:metric", 0.878), "0.8780"),
        (fmt.metric_change("top5", -0.006), "−0.6 points"),
        (fmt.plural(1, "node"), "1 node"),
        (fmt.join(["a", "b", "c"]), "a, b and c"),
        (fmt.moment("2026-11-23T09:12:41Z"), "2026-11-23 09:12 UTC"),
        (fmt.moment("yesterday"), "yesterday"),
    ],
)
def test_figures_read_as_people_write_them(shown: str, expected: str) -> None:
    assert shown == expected


@given(st.floats(min_value=-1e12, max_value=1e12))
def test_number_keeps_three_digits(value: float) -> None:
    text = fmt.number(value).replace(",", "").replace(fmt.MINUS, "-")
    assert float(text) == pytest.approx(value, rel=0.0051)


@given(st.text(st.characters()))
def test_plain_text_is_printable_and_stays_so(text: str) -> None:
    plain = fmt.plain(text)
    assert plain.isprintable()
    assert fmt.plain(plain) == plain


def test_a_speed_up_below_1_is_called_a_slow_down() -> None:
    assert fmt.ratio(4.444) == "4.44×"
    assert fmt.ratio(1.0) == "1.00×"
    assert fmt.ratio(0.399) == "0.399× (slow-down)"
