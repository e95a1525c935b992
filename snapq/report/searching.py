"""A search as text: the frontier as a table, and a line of each trial."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from snapq.metric_table import facts
from snapq.records import SearchRecord, SearchTrialRecord
from snapq.report import formatting as fmt

_SHOWN = 12
"""Rows of the table while the search runs."""
LAYERS = "layers "


def headings(record: SearchRecord) -> tuple[str, ...]:
    """Of the columns of `cells`."""
    return ("trial", "estimated", quality_name(record), "loss", "compiled", "what it is")


def quality_name(record: SearchRecord) -> str:
    """What the points are good at."""
    known = facts(record.loss)
    return known.title if known is not None else record.loss


def cells(trial: SearchTrialRecord, record: SearchRecord) -> tuple[str, ...]:
    """One trial as texts under `headings`."""
    return (
        str(trial.number),
        "" if trial.us is None else fmt.microseconds(trial.us),
        quality(trial, record),
        loss(trial, record),
        "" if trial.bytes is None else fmt.size(trial.bytes),
        what(trial, record),
    )


def quality(trial: SearchTrialRecord, record: SearchRecord) -> str:
    """The metric, or the SQNR, as simulated."""
    measures = trial.measures
    if "value" in measures:
        return fmt.metric_value(str(measures["metric"]), float(measures["value"]))
    if record.loss == "SQNR" and "sqnr_db" in measures:
        return fmt.decibels(float(measures["sqnr_db"]))
    if "equal_answers" in measures:
        return f"{float(measures['equal_answers']):.2%}"
    return ""


def loss(trial: SearchTrialRecord, record: SearchRecord) -> str:
    """The drop of the metric; empty where SQNR says it all."""
    if trial.loss is None or record.loss == "SQNR":
        return ""
    return change(trial.loss, str(trial.measures.get("metric", record.loss)))


def change(lost: float, metric: str) -> str:
    """A loss of a metric as a change of it."""
    return fmt.metric_change(metric, lost if _lower(metric) else -lost)


def _lower(metric: str) -> bool:
    found = facts(metric)
    return found is not None and found.lower_is_better


def what(trial: SearchTrialRecord, record: SearchRecord) -> str:
    """The choices that differ from the file's own, in few words."""
    if trial.own:
        return "as the file has it"
    first = next((one.choices for one in record.trials if one.own), {})
    parts = [
        f"{label(key)} {shown(value)}"
        for key, value in trial.choices.items()
        if value != first.get(key)
    ]
    return ", ".join(parts) or "the same"


def label(key: str) -> str:
    """A dimension in few words."""
    if key.startswith(LAYERS):
        return f"groups at {key.removeprefix(LAYERS)}:"
    return key.rpartition(".")[2] if key.startswith("stages.") else key


def shown(value: Any) -> str:
    """A value in few words."""
    if value is None:
        return "-"
    if isinstance(value, dict | list):
        return fmt.shorten(str(value), 40)
    return f"{value:g}" if isinstance(value, float) else str(value)


def table(record: SearchRecord, most: int | None = None) -> Table:
    """The frontier, fastest first."""
    made = Table(
        box=None, pad_edge=False, title_justify="left", title=title(record), title_style=""
    )
    for index, heading in enumerate(headings(record)):
        last = index == len(headings(record)) - 1
        made.add_column(
            heading, justify="left" if last else "right", overflow="fold", no_wrap=not last
        )
    rows = list(record.frontier)
    kept: Sequence[SearchTrialRecord] = rows if most is None else rows[:most]
    for trial in kept:
        made.add_row(*(fmt.plain(text) for text in cells(trial, record)))
    if len(rows) > len(kept):
        made.add_row("…", "", "", "", "", f"{len(rows) - len(kept)} more")
    return made


def live(record: SearchRecord) -> Table:
    """The frontier so far, of a length that fits a terminal."""
    return table(record, _SHOWN)


def title(record: SearchRecord) -> str:
    """How far the search is."""
    counts = dict.fromkeys(("complete", "pruned", "failed"), 0)
    for trial in record.trials:
        counts[trial.state] += 1
    words = {"complete": "simulated", "pruned": "pruned", "failed": "failed"}
    parts = [f"{counts[state]} {word}" for state, word in words.items() if counts[state]]
    told = f" ({', '.join(parts)})" if parts else ""
    return fmt.plain(
        f"{record.name} on {record.device}: {len(record.trials)} of {record.asked} trials{told}"
    )


def line(trial: SearchTrialRecord, record: SearchRecord) -> str:
    """One trial in one line."""
    if trial.state == "failed":
        return f"Trial {trial.number} failed: {trial.sentence}"
    if trial.state == "pruned":
        return f"Trial {trial.number}: {trial.sentence}"
    told = [fmt.microseconds(trial.us or 0.0), quality(trial, record), loss(trial, record)]
    best = " On the frontier." if trial.best else ""
    parts = ", ".join(filter(None, told))
    remark = f" {trial.sentence}" if trial.sentence else ""
    return f"Trial {trial.number}: {parts}; {what(trial, record)}.{best}{remark}"


def show(record: SearchRecord, console: Console, page: str) -> None:
    """Prints the frontier, what was not searched and why, and where the page is."""
    console.print()
    console.print(table(record))
    if not record.frontier:
        console.print("No point is complete yet." if not record.trials else _none(record))
    for note in record.notes:
        console.print(fmt.plain(note), soft_wrap=True, markup=False)
    if record.random_inputs:
        console.print("RANDOM INPUTS: the comparisons rest on random inputs and prove nothing.")
    if Path(page).is_file():
        console.print(fmt.plain(f"Page: {page}"), soft_wrap=True, markup=False)


def _none(record: SearchRecord) -> str:
    failed = [one for one in record.trials if one.state == "failed"]
    if len(failed) == len(record.trials):
        return fmt.plain(f"All trials failed; the first: {failed[0].sentence}")
    return "No point keeps the limits."
