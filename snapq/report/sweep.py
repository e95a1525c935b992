"""A sweep: one deploy.yaml run with several values of one key, on one page with its curve."""

from __future__ import annotations

import math
from typing import Any

from rich.console import Console
from rich.table import Table

from snapq.records import Origin, Record, RunRecord
from snapq.report import formatting as fmt
from snapq.report import outcome, texts
from snapq.report.drawing import Plane, place
from snapq.report.html import page

OWN_BOUNDARY = ("fp16 unmodified", "fp16 prepared")
BASELINES = (*OWN_BOUNDARY, "fp16 same boundary", "w8a8 form", "w8a16 form")


class SweepPoint(Record):
    """One run of a sweep; figures that it has none of are None."""

    value: str
    """The key's value in this run, as written."""
    folder: str
    """The run directory, relative to the folder of the sweep."""
    passed: bool = False
    error: str | None = None
    """Why there is no run."""
    label: str | None = None
    """Precision of what the run made."""
    device: str | None = None
    metric: str | None = None
    accuracy: float | None = None
    float_accuracy: float | None = None
    where: Origin | None = None
    sqnr_db: float | None = None
    random_inputs: bool = False
    estimate_us: float | None = None
    """Of a sample, as the others; a call may take several."""
    estimate_us_lower: float | None = None
    estimate_us_upper: float | None = None
    predicted_us: float | None = None
    """Median of a board's predicted latency."""
    predicted_speedup: float | None = None
    """Over the fastest fp16 form."""
    speedup: float | None = None
    """Estimate of the model at fp16, as given or prepared, whichever is faster, over that of the
    package."""
    macs: int | None = None
    compiled_bytes: int | None = None


class SweepRecord(Record):
    """The content of `sweep.json`."""

    name: str
    key: str
    points: tuple[SweepPoint, ...]


def point(value: str, folder: str, record: RunRecord) -> SweepPoint:
    """What a finished run adds to the curve: the package on its first device."""
    device = record.devices[0]
    own = (e for e in record.estimates if e.device == device and e.label not in BASELINES)
    found = next(own, None)
    accuracy = next((a for a in record.accuracy if a.label != texts.FLOAT), None)
    base = texts.float_accuracy(record, accuracy) if accuracy else None
    fidelity = min(texts.speaking(record.fidelity), key=lambda item: item.sqnr_db, default=None)
    over = (
        s
        for s in record.speedups
        if (s.device, s.where) == (device, Origin.ESTIMATED) and s.baseline in OWN_BOUNDARY
    )
    ratio = min(over, key=lambda one: one.value, default=None)
    labels = {place.label for place in record.placements}
    expected = (p for p in record.predictions if p.device == device and p.label in labels)
    predicted = next(expected, None)
    gain = (s for s in record.speedups if (s.device, s.where) == (device, Origin.PREDICTED))
    faster = next((s for s in gain if s.baseline.startswith("fp16")), None)
    bundle = next((t for t in record.bundle if t.device == device), None)
    quality = accuracy or fidelity
    return SweepPoint(
        value=value,
        folder=folder,
        passed=all(gate.passed for gate in record.gates),
        label=found.label if found else quality.label if quality else None,
        device=device,
        metric=accuracy.metric if accuracy else None,
        accuracy=accuracy.value if accuracy else None,
        float_accuracy=base.value if base else None,
        where=quality.where if quality else None,
        sqnr_db=fidelity.sqnr_db if fidelity else None,
        random_inputs=outcome.has_random_inputs(record),
        estimate_us=found.us / found.batch if found else None,
        estimate_us_lower=found.us_lower / found.batch if found else None,
        estimate_us_upper=found.us_upper / found.batch if found else None,
        predicted_us=predicted.us / predicted.batch if predicted and predicted.us else None,
        predicted_speedup=faster.value if faster else None,
        speedup=ratio.value if ratio else None,
        macs=sum(layer.macs for layer in record.layers) or None,
        compiled_bytes=texts.target_size(bundle)[0] if bundle else None,
    )


def curve(record: SweepRecord) -> Plane | None:
    """Places the runs of a sweep, fastest first; None where fewer than two have both figures.

    The float model's accuracy, where it is known, is the level to compare with.
    """
    by_metric = all(p.accuracy is not None for p in record.points if p.error is None)
    runs = [
        (p.estimate_us, y, p)
        for p in record.points
        if p.estimate_us is not None
        and (y := p.accuracy if by_metric else p.sqnr_db) is not None
        and math.isfinite(y)
    ]
    if len(runs) < 2:
        return None
    runs.sort(key=lambda item: (item[0], item[1]))
    points, first = [(us, y, p.value, "") for us, y, p in runs], runs[0][2]
    if not by_metric:
        return place(points)
    return place(points, fmt.metric_name(first.metric or ""), first.float_accuracy)


def render(record: SweepRecord) -> str:
    """The page of a sweep: table and curve, without scripts and without network."""
    return page(
        "sweep.html",
        record=record,
        curve=curve(record),
        rows=[(item, cells(item)) for item in record.points],
        headings=HEADINGS,
        device=next((item.device for item in record.points if item.device), None),
        random_inputs=any(item.random_inputs for item in record.points),
    )


def show(record: SweepRecord, console: Console, path: str) -> None:
    """Prints the runs of a sweep as a table, and where its page is."""
    console.print()
    table = Table(box=None, pad_edge=False, title_justify="left")
    for index, title in enumerate(HEADINGS):
        table.add_column(
            title.replace("KEY", fmt.plain(record.key)), justify="right" if index else "left"
        )
    for item in record.points:
        table.add_row(*(fmt.plain(text) for text in cells(item)))
    console.print(table)
    console.print(fmt.plain(f"Page: {path}"), soft_wrap=True, markup=False)


HEADINGS = (
    *("KEY", "accuracy", "from float", "SQNR", "predicted, over fp16", "estimated", "over fp16"),
    *("MACs", "compiled"),
)


def cells(item: SweepPoint) -> tuple[str, ...]:
    """One run as texts under `HEADINGS`."""
    if item.error is not None:
        return (item.value, f"failed: {item.error}", *[""] * (len(HEADINGS) - 2))
    metric = item.metric or ""
    change = (
        None
        if item.accuracy is None or item.float_accuracy is None
        else item.accuracy - item.float_accuracy
    )
    where = f" {item.where}" if item.where else ""
    predicted = _text(item.predicted_us, fmt.microseconds)
    return (
        item.value,
        _text(item.accuracy, lambda v: f"{fmt.metric_value(metric, v)}{where}"),
        _text(change, lambda v: fmt.metric_change(metric, v)),
        _text(item.sqnr_db, fmt.decibels),
        ", ".join(filter(None, (predicted, _text(item.predicted_speedup, fmt.ratio)))),
        _text(item.estimate_us, fmt.microseconds),
        _text(item.speedup, fmt.ratio),
        _text(item.macs, fmt.count),
        _text(item.compiled_bytes, fmt.size),
    )


def _text(value: Any, say: Any) -> str:
    return "" if value is None else str(say(value))
