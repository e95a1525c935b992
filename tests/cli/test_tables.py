"""Tables on the terminal."""

from __future__ import annotations

import pytest

from snapq.cli.output.tables import show_table


def test_times_stand_on_one_line_with_their_units(capfd: pytest.CaptureFixture[str]) -> None:
    show_table("Runs", ["p50", "name"], [["21.1\N{NO-BREAK SPACE}µs", "a\x1bb"]])
    shown = capfd.readouterr().out
    assert "21.1\N{NO-BREAK SPACE}µs" in shown
    assert "a\\x1bb" in shown
