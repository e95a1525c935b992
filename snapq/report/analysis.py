"""What `snapq analyze` found, on one page: each node and tensor by what it costs, alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from snapq.records import AnalysisRecord, SensitivityRecord
from snapq.report import formatting as fmt
from snapq.report import plots, view
from snapq.report.html import environment, source

__all__ = ["Mark", "Plane", "plane", "render"]

WIDTH, HEIGHT = 640.0, 200.0
NAMED = 5
"""How many of the worst are coloured in the drawing and have a bar of their own."""


@dataclass(frozen=True)
class Mark:
    """One node on the drawing.

    Attributes:
        x: from the left, by its part of the estimate, or by its place in the model.
        y: from the top, by the SQNR that is left when it alone is quantized.
        worst: whether it is one of the most sensitive.
        title: its name and figures.
    """

    x: float
    y: float
    worst: bool
    title: str


@dataclass(frozen=True)
class Plane:
    """Nodes by damage and by time.

    Attributes:
        marks: in the model's order.
        us: range of the time axis; None where the axis is the place in the model.
        values: range of SQNR in dB, lowest first.
    """

    marks: tuple[Mark, ...]
    us: tuple[float, float] | None
    values: tuple[float, float]


def worst(items: Sequence[SensitivityRecord]) -> list[SensitivityRecord]:
    """Items with a finite SQNR, lowest first."""
    return sorted((i for i in items if math.isfinite(i.sqnr_db)), key=lambda item: item.sqnr_db)


def plane(items: Sequence[SensitivityRecord]) -> Plane | None:
    """Places nodes; None where fewer than two have a finite SQNR."""
    found = [item for item in items if item.kind == "node" and math.isfinite(item.sqnr_db)]
    if len(found) < 2:
        return None
    timed = all(item.us is not None for item in found)
    across = [float(item.us or 0.0) if timed else float(n) for n, item in enumerate(found)]
    heights = [item.sqnr_db for item in found]
    low, high, first, last = min(heights), max(heights), min(across), max(across)
    named = {item.name for item in worst(found)[:NAMED]}
    marks = tuple(
        Mark(
            WIDTH * (x - first) / max(last - first, 1e-9),
            HEIGHT * (1 - (item.sqnr_db - low) / max(high - low, 1e-9)),
            item.name in named,
            _title(item),
        )
        for x, item in zip(across, found, strict=True)
    )
    return Plane(marks, (first, last) if timed else None, (low, high))


def _title(item: SensitivityRecord) -> str:
    spent = "" if item.us is None else f", {fmt.microseconds(item.us)} estimated"
    return f"{item.name} ({item.op_type}): {fmt.decibels(item.sqnr_db)} {item.where}{spent}"


def render(record: AnalysisRecord) -> str:
    """The page of an analysis, in one file that needs no network, the same for the same record."""
    app = source("app.js")
    return (
        environment()
        .get_template("analysis.html")
        .render(
            record=record,
            view=view,
            fmt=fmt,
            drawn=plane(record.items),
            worst=worst(record.items)[:NAMED],
            app=Markup(app),
            style=Markup(source("style.css")),
            script_hashes=Markup(plots.csp_hash(app)),
        )
    )
