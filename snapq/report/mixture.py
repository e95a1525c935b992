"""Mixed precision in the report: candidates by time and accuracy, the most sensitive tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from snapq.records import SensitivityRecord, TradeoffRecord
from snapq.report import formatting as fmt

WIDTH, HEIGHT = 640.0, 200.0
WORST = 12
_BEYOND = 6.0
"""dB above the best finite value at which values without noise are drawn."""


@dataclass(frozen=True)
class Dot:
    """One candidate on the drawing.

    Attributes:
        x: from the left, by estimated time.
        y: from the top, by accuracy or SQNR.
        label: what it is.
        kind: `chosen`, `uniform`, or `tried`; class of the style sheet.
    """

    x: float
    y: float
    label: str
    kind: str


@dataclass(frozen=True)
class Plane:
    """Accuracy (or SQNR) against estimated time.

    Attributes:
        dots: candidates that have both figures, fastest first.
        us: range of the time axis.
        values: range of the other axis.
        title: what the other axis shows.
    """

    dots: tuple[Dot, ...]
    us: tuple[float, float]
    values: tuple[float, float]
    title: str


def plane(records: Sequence[TradeoffRecord]) -> Plane | None:
    """Places the candidates; None where fewer than two have an estimate."""
    timed = sorted(((r.us, r) for r in records if r.us is not None), key=lambda item: item[0])
    finite = [record.value for _, record in timed if math.isfinite(record.value)]
    if len(timed) < 2 or not finite:
        return None
    top = max(finite) + (_BEYOND if len(finite) < len(timed) else 0.0)
    low, first, last = min(finite), timed[0][0], timed[-1][0]

    def dot(us: float, record: TradeoffRecord) -> Dot:
        value = min(record.value, top) if record.value > low else low
        x = WIDTH * (us - first) / max(last - first, 1e-9)
        y = HEIGHT * (1 - (value - low) / max(top - low, 1e-9))
        kind = "chosen" if record.chosen else "tried" if record.nodes else "uniform"
        return Dot(x, y, record.label, kind)

    unit = records[0].unit
    title = "SQNR in dB" if unit == "dB" else fmt.metric_name(unit)
    return Plane(tuple(dot(us, r) for us, r in timed), (first, last), (low, top), title)


def worst(records: Sequence[SensitivityRecord]) -> list[SensitivityRecord]:
    """Tensors with the lowest SQNR when quantized alone, lowest first."""
    return sorted(records, key=lambda record: record.sqnr_db)[:WORST]


def value(record: TradeoffRecord) -> str:
    """Accuracy or SQNR of a candidate, in its unit."""
    if record.unit == "dB":
        return fmt.decibels(record.value)
    return fmt.metric_value(record.unit, record.value)
