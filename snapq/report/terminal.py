"""The table that a run ends with, for terminals of any width, with or without colour."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from snapq.records import AgreementRecord, Origin, RunRecord, StageRecord
from snapq.report import benches, classical, language, outcome, predictions, sections, texts
from snapq.report import formatting as fmt

_LEVEL_STYLE = {
    outcome.Level.PASS: "bold green",
    outcome.Level.FAIL: "bold red",
    outcome.Level.UNFINISHED: "bold yellow",
    outcome.Level.NEUTRAL: "bold",
}
_ASCII = str.maketrans({"×": "x", "µ": "u", fmt.MINUS: "-", "…": "...", "∞": "inf", "±": "+-"})
_NARROW = 72
_MOST_NOTES = 8
_LONGEST_NOTE = 500
Row = tuple[str, str, str]
"""What it is, its value, and what the value rests on (its word first)."""


def summary(record: RunRecord, console: Console, report: Path | None = None) -> None:
    """Prints what a run came to, as the console's width, colours and encoding allow.

    The last line names the HTML report.
    """
    verdict = outcome.verdict(record)
    plain = _Writer(console)
    console.print()
    console.print(plain.text(verdict.headline, _LEVEL_STYLE[verdict.level]))
    console.print(plain.text(verdict.detail))
    for warning in verdict.warnings:
        console.print(plain.text(f"! {warning}", "yellow"))
    for title, rows in _groups(record):
        if rows:
            console.print()
            console.print(plain.text(title, "bold"))
            console.print(plain.table(rows))
    console.print()
    console.print(plain.text(f"Took {fmt.seconds(record.seconds)}."))
    if report is not None:
        # A path is for copying, so it is not wrapped.
        console.print(plain.text(f"Report: {report}"), soft_wrap=True)


class _Writer:
    """Makes rich objects of untrusted text: no markup, no escapes, nothing unprintable."""

    def __init__(self, console: Console) -> None:
        self.encoding = console.encoding or "ascii"
        self.narrow = console.width < _NARROW

    def text(self, text: str, style: str = "") -> Text:
        shown = fmt.plain(text)
        try:
            shown.encode(self.encoding)
        except (UnicodeEncodeError, LookupError):
            shown = shown.translate(_ASCII).encode("ascii", "backslashreplace").decode("ascii")
        return Text(shown, style=style, overflow="fold")

    def table(self, rows: list[Row]) -> Padding:
        """Three columns, or two with the basis below the value where the terminal is narrow."""
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
        table.add_column(overflow="fold", max_width=28 if self.narrow else 36)
        table.add_column(overflow="fold")
        if not self.narrow:
            table.add_column(overflow="fold", style="dim")
        for what, value, basis in rows:
            label = self.text(fmt.shorten(what))
            if self.narrow:
                shown = self.text(value)
                if basis:
                    shown.append("\n").append_text(self.text(basis, "dim"))
                table.add_row(label, shown)
            else:
                table.add_row(label, self.text(value), self.text(basis))
        return Padding(table, (0, 0, 0, 2))


def _groups(record: RunRecord) -> Iterator[tuple[str, list[Row]]]:
    accuracy = (*_accuracy(record), *_answers(record), *_perplexities(record))
    yield "Accuracy", [*accuracy, *_fidelity(record), *_agreement(record)]
    yield "Language model", list(_language(record))
    yield "Steps", list(_steps(record))
    yield "Where to run it", list(_advice(record))
    yield "Placement", list(_placement(record))
    yield "Size", list(_sizes(record))
    for device in dict.fromkeys(item.device for item in record.estimates):
        yield _estimates_title(record, device), list(_estimates(record, device))
    counted = any(item.instructions is not None for item in record.latencies)
    title = "Instructions, counted" if counted else "Latency, timed"
    yield title, [*_latencies(record), *_benches(record)]
    for title, figures in sections.other_figures(record):
        yield title, [_other(figure) for figure in figures]
    yield "Gates", list(_gates(record))
    yield "Notes", list(_notes(record))


def _accuracy(record: RunRecord) -> Iterator[Row]:
    for item in record.accuracy:
        basis = [str(item.where), *([item.device] if item.device else []), texts.samples_text(item)]
        base = texts.float_accuracy(record, item)
        if base is not None:
            change = fmt.metric_change(item.metric, item.value - base.value)
            basis.append(f"{change} from float")
        name = f"{fmt.metric_name(item.metric)} {item.label}"
        yield name, fmt.metric_value(item.metric, item.value), ", ".join(basis)


def _fidelity(record: RunRecord) -> Iterator[Row]:
    for item in record.fidelity:
        basis = [str(item.where), *([item.device] if item.device else []), texts.samples_text(item)]
        behind = ", behind the cut" if item.behind_cut else ""
        place = f"{item.label}, {item.output}{item.channels}{behind}"
        if item.agreement is not None:
            yield f"Equal {place}", texts.agreement_text(item), ", ".join(basis)
            continue
        basis.append(f"lowest sample {fmt.decibels(item.sqnr_db_min)}")
        value = f"{fmt.decibels(item.sqnr_db)}, cosine {fmt.cosine(item.cosine)}"
        yield f"SQNR {place}", value, ", ".join(basis)


def _answers(record: RunRecord) -> Iterator[Row]:
    for item in record.answers:
        basis = f"{item.where}, {classical.answers_text(item)}"
        yield classical.answers_title(item), classical.answers_value(item), basis


def _perplexities(record: RunRecord) -> Iterator[Row]:
    for item in record.perplexities:
        basis = f"{item.where}, {item.device}, {language.perplexity_text(item)}"
        yield f"perplexity {item.label}", language.perplexity_value(item), basis
        yield f"next token {item.label}", f"{item.agreement * 100:.1f} %", "as float has it"


def _language(record: RunRecord) -> Iterator[Row]:
    for item in record.context_times:
        basis = f"{Origin.ESTIMATED}, {item.device}, {language.context_text(item)}"
        yield f"context {fmt.integer(item.context)}", language.context_value(item), basis
    for times in language.part_times(record):
        graphs = {
            "prefill": {part: prefill for part, prefill, _ in times.rows},
            "decode": {part: decode for part, _, decode in times.rows},
        }
        for graph, shares in graphs.items():
            layers = [us for part, us in shares.items() if part.startswith("layer ")]
            if layers:
                value = f"{fmt.microseconds(sum(layers) / len(layers))} a layer"
                head = fmt.microseconds(shares.get("head", 0.0))
                yield f"{graph}", value, f"{Origin.ESTIMATED}, {times.device}, head {head}"


def _advice(record: RunRecord) -> Iterator[Row]:
    for item in record.advice:
        yield item.device, classical.advice_value(item), item.sentence


def _agreement(record: RunRecord) -> Iterator[Row]:
    """Of each device what is nearest to a fault, and every fault."""
    worst: dict[str, AgreementRecord] = {}
    for item in record.agreement:
        if item.device not in worst or item.agreement_db < worst[item.device].agreement_db:
            worst[item.device] = item
    for item in record.agreement:
        if item is worst[item.device] or item.finding != "agrees":
            basis = f"simulated, {item.device}, {fmt.plural(item.samples, 'sample')}, "
            place = f"{item.output}{item.channels}"
            value, text = texts.agreement_value(item), texts.finding_text(item)
            yield f"NPU and CPU {item.label}, {place}", value, basis + text


def _steps(record: RunRecord) -> Iterator[Row]:
    for step in record.steps:
        values = []
        if step.value is not None and step.metric is not None:
            values.append(fmt.metric_value(step.metric, step.value))
        if step.sqnr_db is not None:
            values.append(fmt.decibels(step.sqnr_db))
        basis = [str(step.where)] if values and step.where else []
        basis += [f"{fmt.count(step.macs)} MACs", f"{fmt.size(step.weight_bytes)} of weights"]
        if step.estimate is not None:
            basis.append(f"{fmt.microseconds(step.estimate.us)} {Origin.ESTIMATED}")
        yield f"after {step.label}", ", ".join(values), ", ".join(basis)


def _placement(record: RunRecord) -> Iterator[Row]:
    for item in record.placements:
        value = f"{texts.placement_text(item)} nodes on the NPU"
        yield f"{item.label} on {item.device}", value, fmt.plural(item.partitions, "partition")


def _sizes(record: RunRecord) -> Iterator[Row]:
    def row(what: str, size: int, compressed: int) -> Row:
        return what, fmt.size(size), f"{fmt.size(compressed)} compressed"

    if not record.language_models:
        yield row("float model", record.model.bytes, record.model.bytes_compressed)
    for binary in record.pair_binaries:
        yield f"compiled for {binary.device}", *language.binary_text(binary)
    for target in record.bundle:
        yield row(f"compiled for {target.device}", *texts.target_size(target))


def _estimates(record: RunRecord, device: str) -> Iterator[Row]:
    for found in predictions.of_device(record, device):
        word = f"{Origin.PREDICTED}, " if found.us is not None else ""
        yield found.label, found.value, f"{word}{predictions.text(found)}"
    yield from _ratios(record, device, Origin.PREDICTED)
    for item in record.estimates:
        if item.device == device:
            low = f", too low: {item.missing_ops} without a cost" if item.missing_ops else ""
            each = texts.call_text(item.us, item.batch)
            basis = f"{Origin.ESTIMATED}, {texts.bounds_text(item)}{each}{low}"
            yield item.label, fmt.microseconds(item.us), basis
    yield from _ratios(record, device, Origin.ESTIMATED)


def _ratios(record: RunRecord, device: str, where: Origin) -> Iterator[Row]:
    for speedup in record.speedups:
        if (speedup.device, speedup.where) == (device, where):
            what = f"{speedup.candidate} over {speedup.baseline}"
            interval = [text] if (text := texts.interval_text(speedup)) else []
            basis = ", ".join((speedup.where, *interval, *speedup.remarks))
            yield what, fmt.ratio(speedup.value), basis


def _estimates_title(record: RunRecord, device: str) -> str:
    used = (item.estimated_on for item in record.estimates if item.device == device)
    others = [name for name in dict.fromkeys(used) if name != device]
    return f"Latency on {device}" + (f" (estimates of {fmt.join(others)})" if others else "")


def _latencies(record: RunRecord) -> Iterator[Row]:
    for item in record.latencies:
        on = texts.place(item.target)
        basis = f"{item.where} on {on}, median of {texts.runs_text(item)}{texts.parts_text(item)}"
        if item.instructions is None:
            yield item.label, fmt.milliseconds(item.p50_ms), basis
        else:
            yield item.label, fmt.instructions(item.instructions), f"an inference, {basis}"
    for speedup in record.speedups:
        if speedup.where not in (Origin.ESTIMATED, Origin.PREDICTED):
            basis = f"{speedup.where} on {texts.place(speedup.device)}"
            if speedup.interval is not None:
                basis += f", {texts.interval_text(speedup)}"
            if speedup.where == Origin.EMULATED:
                basis += ", not a performance claim"
            basis = "; ".join((basis, *(text.removesuffix(".") for text in speedup.remarks)))
            yield f"{speedup.candidate} over {speedup.baseline}", texts.ratio_text(speedup), basis


def _benches(record: RunRecord) -> Iterator[Row]:
    for item in record.benches:
        if item.target.name != "local":
            yield f"{item.model.label} ran", "", item.headline
            if (predicted := benches.predicted_text(item)) is not None:
                yield f"{item.model.label} predicted", "", predicted
            yield from ((item.model.label, "", benches.golden_text(one)) for one in item.golden)
        yield from ((item.model.label, "", benches.answers_text(one)) for one in item.answers)
        if item.verdict is not None:
            yield item.model.label, "", item.verdict.sentence


def _other(figure: dict[str, Any]) -> Row:
    """A figure of a kind without a section: its first field, then the others with their names."""
    (_, first), *others = figure.items()
    return str(first), ", ".join(f"{name} {value}" for name, value in others), ""


def _gates(record: RunRecord) -> Iterator[Row]:
    for gate in record.gates:
        result = "passed" if gate.passed else "FAILED"
        yield gate.name, result, f"found {gate.found}, limit {gate.limit}"


def _stage_name(stage: StageRecord) -> str:
    """`quantize`, or `quantize for qcs6490` where devices have packages of their own."""
    return f"{stage.name} for {', '.join(stage.devices)}" if stage.devices else stage.name


def _notes(record: RunRecord) -> Iterator[Row]:
    """The first notes of the stages and of the run; the report has them all."""
    parted = ("`precision: auto`", "Each kind of device")
    chosen = [("run", note) for note in record.notes if note.startswith(parted)]
    notes = [(_stage_name(stage), note) for stage in record.stages for note in stage.notes]
    notes = chosen + notes + [("run", note) for note in record.notes if ("run", note) not in chosen]
    for name, note in notes[:_MOST_NOTES]:
        yield name, fmt.shorten(note, _LONGEST_NOTE), ""
    if len(notes) > _MOST_NOTES:
        yield "", f"{len(notes) - _MOST_NOTES} more in the report", ""
