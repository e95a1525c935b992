"""The candidates of mixed precision by time and accuracy."""

from __future__ import annotations

import math
from collections.abc import Sequence

from snapq.records import TradeoffRecord
from snapq.report import formatting as fmt
from snapq.report.drawing import Plane, Point, place

_BEYOND = 6.0
"""dB above the best finite value at which values without noise are drawn."""


def plane(records: Sequence[TradeoffRecord]) -> Plane | None:
    """Places the candidates, fastest first; None where fewer than two have an estimate."""
    timed = sorted(((r.us, r) for r in records if r.us is not None), key=lambda item: item[0])
    finite = [record.value for _, record in timed if math.isfinite(record.value)]
    if len(timed) < 2 or not finite:
        return None
    low, high = min(finite), max(finite) + (_BEYOND if len(finite) < len(timed) else 0.0)

    def point(us: float, record: TradeoffRecord) -> Point:
        value = min(record.value, high) if record.value > low else low
        kind = "chosen" if record.chosen else "tried" if record.nodes else "uniform"
        return us, value, record.label, kind

    unit = records[0].unit
    title = "SQNR in dB" if unit == "dB" else fmt.metric_name(unit)
    return place([point(us, record) for us, record in timed], title)
