"""The loss curve of training: a small drawing that needs no script."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from snapq.report.axes import Tick, powers, ticks

WIDTH, HEIGHT = 640.0, 120.0


@dataclass(frozen=True)
class Line:
    """One line: what it shows (also its CSS class), and the `x,y` pairs of an SVG polyline."""

    name: str
    points: str
    first: float
    last: float


@dataclass(frozen=True)
class LossCurve:
    """The curve of one training run, losses on a logarithmic axis.

    Attributes:
        lines: held-out loss first.
        steps: updates that the axis spans.
        best: x of the state that was kept.
        best_step: its number of updates.
        across: numbers of the axis of updates.
        up: numbers of the axis of losses.
    """

    lines: tuple[Line, ...]
    steps: int
    best: float
    best_step: int
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]


def loss_curve(details: Mapping[str, Any]) -> LossCurve | None:
    """Reads the figures of a finetune stage; None where there is nothing to draw."""
    curve = details.get("curve")
    if not isinstance(curve, list | tuple):
        return None
    rows = [row for row in curve if isinstance(row, Mapping) and isinstance(row.get("step"), int)]
    series = {
        name: [
            (row["step"], float(row[name]))
            for row in rows
            if isinstance(row.get(name), int | float) and 0 < row[name] < math.inf
        ]
        for name in ("held_out", "trained")
    }
    drawn = {name: points for name, points in series.items() if len(points) > 1}
    steps = max((step for points in drawn.values() for step, _ in points), default=0)
    if "held_out" not in drawn or not steps:
        return None
    logs = [math.log(value) for points in drawn.values() for _, value in points]
    low, span = min(logs), max(max(logs) - min(logs), 1e-9)

    def down(value: float) -> float:
        return HEIGHT * (1 - (math.log(value) - low) / span)

    def right(step: float) -> float:
        return WIDTH * step / steps

    def place(step: int, value: float) -> str:
        return f"{right(step):.1f},{down(value):.1f}"

    best = min(drawn["held_out"], key=lambda point: point[1])[0]
    return LossCurve(
        tuple(
            Line(name, " ".join(place(*p) for p in points), points[0][1], points[-1][1])
            for name, points in drawn.items()
        ),
        steps,
        right(best),
        best,
        ticks(0, steps, right),
        powers(math.exp(low), math.exp(max(logs)), down),
    )
