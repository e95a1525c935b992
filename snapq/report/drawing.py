"""Points by time and by accuracy (or SQNR) on a small drawing that needs no script."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from snapq.records import TradeoffRecord
from snapq.report import formatting as fmt
from snapq.report.axes import Tick, ticks

WIDTH, HEIGHT = 640.0, 200.0
_BEYOND = 6.0
"""dB above the best finite value at which values without noise are drawn."""
Point = tuple[float, float, str, str]
"""Value of the axis to the right, of the axis upwards, label, kind."""


@dataclass(frozen=True)
class Mark:
    """One point: `x` from the left, `y` from the top; `kind` is a class of the style sheet."""

    x: float
    y: float
    label: str
    kind: str


@dataclass(frozen=True)
class Plane:
    """Points as drawn.

    Attributes:
        marks: in the order of the points.
        us: range of the axis to the right; None where that is not time.
        values: range of the axis upwards, lowest first.
        title: what the axis upwards shows.
        level: y of a value to compare with; None where there is none.
        across: numbers of the axis to the right.
        up: numbers of the axis upwards.
    """

    marks: tuple[Mark, ...]
    us: tuple[float, float] | None
    values: tuple[float, float]
    title: str
    level: float | None
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]

    @property
    def line(self) -> str:
        """The `x,y` pairs of an SVG polyline through the points."""
        return " ".join(f"{mark.x:.1f},{mark.y:.1f}" for mark in self.marks)


def place(
    points: Sequence[Point],
    title: str = "SQNR in dB",
    level: float | None = None,
    *,
    timed: bool = True,
) -> Plane:
    """Places points of finite values so that they, and `level`, fill the drawing.

    `timed` says whether the axis to the right is time in microseconds.
    """
    across, heights = [p[0] for p in points], [p[1] for p in points]
    heights += [] if level is None else [level]
    first, last, low, high = min(across), max(across), min(heights), max(heights)

    def down(value: float) -> float:
        return HEIGHT * (1 - (value - low) / max(high - low, 1e-9))

    def right(value: float) -> float:
        return WIDTH * (value - first) / max(last - first, 1e-9)

    return Plane(
        marks=tuple(Mark(right(x), down(y), label, kind) for x, y, label, kind in points),
        us=(first, last) if timed else None,
        values=(low, high),
        title=title,
        level=None if level is None else down(level),
        across=ticks(first, last, right),
        up=ticks(low, high, down),
    )


def by_devices(records: Sequence[TradeoffRecord]) -> list[list[TradeoffRecord]]:
    """The candidates of each kind of device apart, in their order."""
    groups: dict[tuple[str, ...], list[TradeoffRecord]] = {}
    for record in records:
        groups.setdefault(record.devices, []).append(record)
    return list(groups.values())


def tradeoff_plane(records: Sequence[TradeoffRecord]) -> Plane | None:
    """Places mixed precisions, fastest first; None where fewer than two have an estimate."""
    timed = sorted(((r.us, r) for r in records if r.us is not None), key=lambda item: item[0])
    finite = [record.value for _, record in timed if math.isfinite(record.value)]
    if len(timed) < 2 or not finite:
        return None
    low, high = min(finite), max(finite) + (_BEYOND if len(finite) < len(timed) else 0.0)

    def point(us: float, record: TradeoffRecord) -> Point:
        value = min(record.value, high) if record.value > low else low
        kind = (
            "chosen" if record.chosen else "tried" if record.nodes or record.narrow else "uniform"
        )
        return us, value, record.label, kind

    unit = records[0].unit
    title = "SQNR in dB" if unit == "dB" else fmt.metric_name(unit)
    return place([point(us, record) for us, record in timed], title)
