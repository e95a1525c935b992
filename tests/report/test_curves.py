"""The loss curve is drawn from the figures of the finetune stage, whatever they hold."""

from __future__ import annotations

import math
from typing import Any

import pytest

from snapq.report.curves import HEIGHT, WIDTH, loss_curve


def test_the_curve_spans_the_drawing_and_marks_the_best_state() -> None:
    curve = loss_curve(
        {
            "curve": [
                {"step": 0, "trained": None, "held_out": 1.0},
                {"step": 50, "trained": 0.2, "held_out": 0.01},
                {"step": 100, "trained": 0.1, "held_out": 0.1},
            ]
        }
    )
    assert curve is not None
    held_out, trained = curve.lines
    assert held_out.points == f"0.0,0.0 {WIDTH / 2:.1f},{HEIGHT:.1f} {WIDTH:.1f},{HEIGHT / 2:.1f}"
    assert (trained.first, trained.last) == (0.2, 0.1)
    assert (curve.best_step, curve.best) == (50, WIDTH / 2)


@pytest.mark.parametrize(
    "details",
    [
        {},
        {"curve": "<script>"},
        {"curve": [1, None, {"step": "x"}]},
        {"curve": [{"step": 0, "held_out": 1.0}]},
        {"curve": [{"step": 0, "held_out": math.inf}, {"step": 1, "held_out": math.nan}]},
        {"curve": [{"step": 0, "held_out": 0.0}, {"step": 0, "held_out": -1}]},
    ],
)
def test_what_cannot_be_drawn_is_left_out(details: dict[str, Any]) -> None:
    assert loss_curve(details) is None
