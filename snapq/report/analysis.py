"""What `snapq analyze` found, on one page: each node and tensor by what it costs, alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

from snapq.records import AnalysisRecord, SensitivityRecord
from snapq.report import formatting as fmt
from snapq.report.drawing import Plane, place
from snapq.report.html import page

NAMED = 5
"""How many of the worst are coloured in the drawing and have a bar of their own."""


def worst(items: Sequence[SensitivityRecord]) -> list[SensitivityRecord]:
    """Items with a finite SQNR, lowest first."""
    return sorted((i for i in items if math.isfinite(i.sqnr_db)), key=lambda item: item.sqnr_db)


def plane(items: Sequence[SensitivityRecord]) -> Plane | None:
    """Places nodes by their part of the estimate, or in the model's order where there is none.

    None where fewer than two have a finite SQNR.
    """
    found = [item for item in items if item.kind == "node" and math.isfinite(item.sqnr_db)]
    if len(found) < 2:
        return None
    timed = all(item.us is not None for item in found)
    named = {item.name for item in worst(found)[:NAMED]}
    return place(
        [
            (
                float(item.us or 0.0) if timed else float(n),
                item.sqnr_db,
                _title(item),
                "" if item.name in named else "tried",
            )
            for n, item in enumerate(found, 1)
        ],
        timed=timed,
    )


def _title(item: SensitivityRecord) -> str:
    spent = "" if item.us is None else f", {fmt.microseconds(item.us)} estimated"
    return f"{item.name} ({item.op_type}): {fmt.decibels(item.sqnr_db)} {item.where}{spent}"


def render(record: AnalysisRecord) -> str:
    """The page of an analysis, in one file that needs no network, the same for the same record."""
    return page(
        "analysis.html",
        record=record,
        drawn=plane(record.items),
        worst=worst(record.items)[:NAMED],
    )
