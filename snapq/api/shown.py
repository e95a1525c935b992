"""How runs look in a prompt and in a notebook: small, whatever is in them."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

from snapq.records import RunRecord


def one_line(record: RunRecord, folder: Path) -> str:
    """`<Run tiny: all 3 gates passed, w8a8 for qcs9075 and sm8650, runs/tiny/…>`."""
    from snapq.report import outcome
    from snapq.report.formatting import plain, shorten

    headline = shorten(plain(outcome.verdict(record).headline), 80)
    return f"<Run {plain(record.name)}: {headline} {shorten(plain(str(folder)), 120)}>"


def table(record: RunRecord, folder: Path) -> str:
    """A small HTML summary: the verdict, the figures of each device, and where the report is."""
    from snapq.report import outcome
    from snapq.report.formatting import plain

    verdict = outcome.verdict(record)
    rows = "".join(
        f"<tr><th style='text-align:left'>{escape(plain(what))}</th>"
        f"<td style='text-align:left'>{escape(plain(value))}</td></tr>"
        for what, value in _rows(record)
    )
    place = escape(plain(str(folder / "report.html")))
    head = f"<b>{escape(plain(verdict.headline))}</b><br>{escape(plain(verdict.detail))}"
    return f"<div>{head}<table>{rows}</table><small>Report: {place}</small></div>"


_MOST = 12


def _rows(record: RunRecord) -> Iterator[tuple[str, str]]:
    found = list(_all_rows(record))
    yield from found[:_MOST]
    if len(found) > _MOST:
        yield "…", f"{len(found) - _MOST} more in the report"


def _all_rows(record: RunRecord) -> Iterator[tuple[str, str]]:
    from snapq.report import formatting as fmt
    from snapq.report import texts

    for gate in record.gates:
        if not gate.passed:
            yield f"gate {gate.name}", f"FAILED: {gate.found}, limit {gate.limit}"
    for one in record.accuracy:
        on = f" on {one.device}" if one.device else ""
        yield (
            f"{fmt.metric_name(one.metric)} {one.label}{on}",
            f"{fmt.metric_value(one.metric, one.value)} ({one.where})",
        )
    packages = {place.label for place in record.placements}
    for item in record.fidelity:
        on = f" on {item.device}" if item.device else ""
        name = f"SQNR {item.label}, {item.output}{item.channels}{on}"
        yield name, f"{fmt.decibels(item.sqnr_db)} ({item.where})"
    for found in record.predictions:
        if found.label in packages:
            name = f"{found.label} on a board with {found.device}"
            yield name, f"{found.value} (predicted)" if found.us is not None else found.value
    for estimate in record.estimates:
        if estimate.label in packages:
            name = f"{estimate.label} on {estimate.device}"
            yield name, f"{texts.estimate_text(estimate)} (estimated)"
    for latency in record.latencies:
        text = texts.latency_text(latency, latency.p50_ms)
        yield f"{latency.label} on {texts.place(latency.target)}", f"{text} ({latency.where})"
