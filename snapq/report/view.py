"""The story of a run: what is said of it first, in words that the HTML and the terminal share.

Everything here is a pure function of `RunRecord`. A figure always carries its word (`Origin`), and
a speed-up its baseline.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from snapq.records import (
    AccuracyRecord,
    AgreementRecord,
    BundleDeviceRecord,
    EstimateRecord,
    FidelityRecord,
    GateRecord,
    LatencyRecord,
    Origin,
    PlacementRecord,
    Record,
    RunRecord,
    SpeedupRecord,
)
from snapq.report import classical
from snapq.report import formatting as fmt

FLOAT = "float"
_SHOWN = {
    *(
        "accuracy",
        "fidelity",
        "agreement",
        "estimates",
        "placements",
        "latencies",
        "speedups",
        "benches",
    ),
    *("layers", "steps", "sensitivity", "tradeoff", "encodings", "bundle", "bundle_files"),
    *("stages", "gates"),
    *("answers", "estimators", "importances", "advice"),
}
"""Fields of a run that have a section of their own; the others get a plain table."""
WORDS: dict[Origin, str] = {
    Origin.HOST: "Values computed by ONNX Runtime on the CPU of the machine that made this report.",
    Origin.SIMULATED: "Values computed by Qualcomm's HTP simulator, exact for the architecture. "
    "The simulator says nothing about time.",
    Origin.ESTIMATED: "Qualcomm's Performance Estimate: accelerator time only, without the host, "
    "with a lower and an upper bound. Not a measurement.",
    Origin.EMULATED: "Run under QEMU, whose clock counts instructions: the values are right, and "
    "the times stand for work, not for speed.",
    Origin.MEASURED: "Timed on real hardware.",
}


MEANINGS: dict[str, str] = {
    "SQNR": "How much larger the float model's output is than the error, in dB: 20 dB is an error "
    "of a tenth, 40 dB of a hundredth. Above 30 hardly anything shows; classes mostly hold from 15 "
    "to 20 on, boxes and landmarks want 30; below 10 an output is broken. Outputs, and groups of "
    "channels of very different range, count each by itself.",
    "cosine": "1 where the outputs point the same way; from 0.99 on close, below 0.9 far apart.",
    "w8a8": "Bits of weights, then of activations; fp16 is 16-bit floating point.",
    "fp16 prepared": "The float model after the prepare stage, at fp16: the baseline of a "
    "speed-up, or the model as given, whichever is faster.",
    "same boundary": "The baseline with the package's own inputs and outputs: what quantization "
    "alone gains.",
}
"""Words of the report, with what is good and what is not."""


class Level(StrEnum):
    """How the run ended; also the name of a colour."""

    PASS = "pass"
    FAIL = "fail"
    UNFINISHED = "unfinished"
    NEUTRAL = "neutral"


@dataclass(frozen=True)
class Verdict:
    """The first sentence of the report, and the warnings that belong beside it."""

    level: Level
    headline: str
    detail: str
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Card:
    """A key figure: its title, its value, the word for how it came to be, what it rests on."""

    title: str
    value: str
    where: Origin | None
    lines: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def precisions(record: RunRecord) -> tuple[str, ...]:
    """Labels of what the run made beside the float model, in order of appearance."""
    labels = [item.label for item in record.fidelity] + [item.label for item in record.accuracy]
    return tuple(dict.fromkeys(label for label in labels if label != FLOAT))


def has_random_inputs(record: RunRecord) -> bool:
    """Whether any value rests on random inputs."""
    items: tuple[AccuracyRecord | FidelityRecord, ...] = (*record.accuracy, *record.fidelity)
    return any(item.random_inputs for item in items)


def verdict(record: RunRecord) -> Verdict:
    """Says whether the run passed its gates."""
    failed = tuple(gate for gate in record.gates if not gate.passed)
    detail = f"{fmt.shorten(record.name, 60)}{_packages(record)}"
    total = fmt.plural(len(record.gates), "gate")
    if not record.finished:
        level = Level.UNFINISHED
        headline = "Not finished: the run is in progress or was interrupted"
    elif failed:
        level = Level.FAIL
        headline = f"Failed: {len(failed)} of {total} ({_names(failed)})"
    elif record.gates:
        level, headline = Level.PASS, f"Passed: {len(record.gates)} of {total}"
    else:
        level, headline = Level.NEUTRAL, "Finished; no gates were set"
    return Verdict(level, headline, detail, tuple(_warnings(record, failed)))


def _packages(record: RunRecord) -> str:
    """` as w8a8 for qcs9075`; ` as w8a8 for qcs9075, and w8a16 for qcs6490` where they differ."""
    shipped: dict[str, list[str]] = {}
    for item in record.placements:
        shipped.setdefault(item.label, []).append(fmt.shorten(item.device, 40))
    if len(shipped) > 1:
        parts = [f"{label} for {fmt.join(devices)}" for label, devices in shipped.items()]
        return f" as {', and '.join(parts)}"
    what = f" as {fmt.join(precisions(record))}" if precisions(record) else ""
    return f"{what} for {fmt.join([fmt.shorten(name, 40) for name in record.devices])}"


def _names(gates: tuple[GateRecord, ...]) -> str:
    return ", ".join(fmt.shorten(gate.name, 40) for gate in gates)


def _warnings(record: RunRecord, failed: tuple[GateRecord, ...]) -> Iterator[str]:
    if not record.finished and failed:
        yield f"Gates failed so far: {_names(failed)}."
    if not record.finished:
        yield "Figures below are those of the finished stages only."
    for item in record.tradeoff:
        if item.chosen and not item.met:
            on = f" for {fmt.join(list(item.devices))}" if item.devices else ""
            value = fmt.metric_value(item.unit, item.value)
            yield f"No precision reaches the goal{on}: {item.label} is the closest, with {value}."
    if has_random_inputs(record):
        yield (
            "Random inputs: accuracy, SQNR and cosine of this run say nothing about the model on "
            "real data."
        )
    for placement in record.placements:
        if placement.cpu:
            yield (
                f"{fmt.plural(placement.cpu, 'node')} of {placement.label} on {placement.device} "
                f"{'runs' if placement.cpu == 1 else 'run'} on the CPU, not on the NPU."
            )
    labels: dict[str, list[str]] = {}
    for estimate in record.estimates:
        for text in estimate_warnings(estimate):
            labels.setdefault(text, []).append(estimate.label)
    yield from (f"{fmt.join(list(dict.fromkeys(of)))}: {text}" for text, of in labels.items())


def estimate_warnings(estimate: EstimateRecord) -> tuple[str, ...]:
    """What a reader must know before using an estimate."""
    warnings = []
    if estimate.estimated_on != estimate.device:
        warnings.append(
            f"{estimate.device} has no estimate of its own; this is the figure of "
            f"{estimate.estimated_on}."
        )
    if estimate.missing_ops:
        warnings.append(
            f"the estimate for {estimate.device} is too low: "
            f"{fmt.plural(estimate.missing_ops, 'operator')} without a cost in it."
        )
    return tuple(warnings)


def cards(record: RunRecord) -> tuple[Card, ...]:
    """The key figures, in the order of the story: right, fast, on the NPU, small."""
    quantized = tuple(item for item in record.accuracy if item.label != FLOAT)
    return (
        *(_accuracy_card(record, item) for item in quantized or record.accuracy),
        *_answers_cards(record),
        *_fidelity_cards(record),
        *_advice_cards(record),
        *_speedup_cards(record, Origin.ESTIMATED),
        *_plain_estimate_cards(record),
        *_placement_cards(record),
        *_size_cards(record),
        *_speedup_cards(record, Origin.MEASURED),
        *_speedup_cards(record, Origin.EMULATED),
    )


def float_accuracy(record: RunRecord, item: AccuracyRecord) -> AccuracyRecord | None:
    """The float model's value of the same metric on the same data."""
    wanted = (FLOAT, item.metric, item.dataset)
    bases = (one for one in record.accuracy if (one.label, one.metric, one.dataset) == wanted)
    return None if item.label == FLOAT else next(bases, None)


def accuracy_change(record: RunRecord, item: AccuracyRecord) -> str | None:
    """`−0.2 points from float 87.8 % (host)`, or None where there is no baseline."""
    base = float_accuracy(record, item)
    if base is None:
        return None
    change = fmt.metric_change(item.metric, item.value - base.value)
    return f"{change} from float {fmt.metric_value(base.metric, base.value)} ({base.where})"


def samples_text(item: AccuracyRecord | FidelityRecord) -> str:
    """What a value rests on: how many samples, of what, and whether they are random."""
    shown = item.dataset.startswith(f"{item.samples} ")
    text = item.dataset if shown else f"{fmt.plural(item.samples, 'sample')}: {item.dataset}"
    return f"{text}, random inputs" if item.random_inputs else text


def _accuracy_card(record: RunRecord, item: AccuracyRecord) -> Card:
    change = accuracy_change(record, item)
    on = f" on {item.device}" if item.device else ""
    return Card(
        title=f"{fmt.metric_name(item.metric)}, {item.label}{on}",
        value=fmt.metric_value(item.metric, item.value),
        where=item.where,
        lines=(*((change,) if change else ()), samples_text(item)),
        warnings=("Random inputs",) if item.random_inputs else (),
    )


def _answers_cards(record: RunRecord) -> Iterator[Card]:
    for item in record.answers:
        yield Card(
            title=classical.answers_title(item),
            value=classical.answers_value(item),
            where=item.where,
            lines=(classical.answers_text(item),),
            warnings=("Random inputs",) if item.random_inputs else (),
        )


def _advice_cards(record: RunRecord) -> Iterator[Card]:
    for item in record.advice:
        value = classical.advice_value(item)
        yield Card(
            title=f"Where to run it, {item.device}", value=value, where=None, lines=(item.sentence,)
        )


def agreement_text(item: FidelityRecord) -> str:
    """`, 99.8 % of elements equal` of integer outputs; nothing of others."""
    if item.agreement is None:
        return ""
    return f", {fmt.number(item.agreement * 100)} % of elements equal"


FINDINGS = {
    "agrees": "agrees up to rounding",
    "apart": "far below the CPU",
    "collapsed": "one value on the NPU, several on the CPU",
    "dead": "one value on the NPU and the CPU, several in float",
    "changes": "other values from run to run on the same input",
}


def finding_text(item: AgreementRecord) -> str:
    """`agrees up to rounding`, `far below the CPU, first at node gate`."""
    text = FINDINGS.get(item.finding, item.finding)
    return f"{text}, first at node {item.node}" if item.node else text


def agreement_value(item: AgreementRecord) -> str:
    """`77.3 dB simulated, 78.9 dB on the CPU; 76.6 dB from the CPU`."""
    against = f"{fmt.decibels(item.agreement_db)} from the CPU"
    if item.npu_sqnr_db is None or item.cpu_sqnr_db is None or item.label == "fp16":
        return against
    npu, cpu = fmt.decibels(item.npu_sqnr_db), fmt.decibels(item.cpu_sqnr_db)
    return f"{npu} simulated, {cpu} on the CPU; {against}"


def _fidelity_cards(record: RunRecord) -> Iterator[Card]:
    groups: dict[tuple[str, str | None, Origin], list[FidelityRecord]] = {}
    for item in (item for item in record.fidelity if not item.behind_cut):
        groups.setdefault((item.label, item.device, item.where), []).append(item)
    for (label, device, where), items in groups.items():
        worst = min(items, key=lambda item: item.sqnr_db)
        many = f"{len(items)} outputs" if not any(i.channels for i in items) else "all outputs"
        place = f"{worst.output}{worst.channels}"
        of = f"lowest of {many} ({place}); " if len(items) > 1 else ""
        yield Card(
            title=f"Output SQNR, {label}{f' on {device}' if device else ''}",
            value=fmt.decibels(worst.sqnr_db),
            where=where,
            lines=(
                f"{of}lowest sample {fmt.decibels(worst.sqnr_db_min)}, "
                f"cosine {fmt.cosine(worst.cosine)}{agreement_text(worst)}; baseline: float",
                samples_text(worst),
            ),
            warnings=("Random inputs",) if worst.random_inputs else (),
        )


def place(target: str) -> str:
    """Name of a target as a reader knows it."""
    return "this machine's CPU" if target == "local" else target


def runs_text(latency: LatencyRecord) -> str:
    """`412 runs, 1 thread`, and where the model ran if the target's name does not say it."""
    text = f"{fmt.plural(latency.runs, 'run')}, {fmt.plural(latency.threads, 'thread')}"
    shown = latency.target == "local" and latency.placement == "cpu"
    return text if shown else f"{text}, placed on {latency.placement}"


def ratio_text(speedup: SpeedupRecord) -> str:
    """`4.44×`; where instructions were counted, `22.7 % of the instructions`."""
    counted = speedup.where is Origin.EMULATED
    return fmt.share_of_instructions(speedup.value) if counted else fmt.ratio(speedup.value)


def interval_text(speedup: SpeedupRecord) -> str:
    """`95 % interval 4.2 to 4.6`, of what `ratio_text` says; empty where there is none."""
    if speedup.interval is None:
        return ""
    counted = speedup.where is Origin.EMULATED
    return (fmt.interval_of_instructions if counted else fmt.interval)(speedup.interval)


def parts_text(latency: LatencyRecord) -> str:
    """`; 512 rows: encode 0.1 ms, call 1.2 ms, decode 0.1 ms`, of a classical model."""
    if latency.rows is None:
        return ""
    text = f"; {fmt.plural(latency.rows, 'row')}"
    if latency.encode_ms is None or latency.decode_ms is None:
        return text
    rest = latency.p50_ms - latency.encode_ms - latency.decode_ms
    parts = (latency.encode_ms, rest, latency.decode_ms)
    if latency.instructions is not None:
        shown = [fmt.instructions(round(one * 1e6)) for one in parts]
    else:
        shown = [fmt.milliseconds(one) for one in parts]
    return f"{text}: encode {shown[0]}, call {shown[1]}, decode {shown[2]}"


def speedup_text(speedup: SpeedupRecord) -> str:
    """`4.44× over fp16`, with the interval where there is one."""
    text = f"{ratio_text(speedup)} over {speedup.baseline}"
    interval = interval_text(speedup)
    return f"{text} ({interval})" if interval else text


def latency_title(latency: LatencyRecord) -> str:
    """What was measured: `Latency`, or `Instructions` of an emulated board."""
    return "Latency" if latency.instructions is None else "Instructions"


def latency_text(latency: LatencyRecord, ms: float) -> str:
    """A time, or a count of instructions of an emulated board."""
    counted = latency.where is Origin.EMULATED
    return fmt.instructions(round(ms * 1e6)) if counted else fmt.milliseconds(ms)


def _speedup_cards(record: RunRecord, where: Origin) -> Iterator[Card]:
    groups: dict[tuple[str, str], list[SpeedupRecord]] = {}
    for item in record.speedups:
        if item.where == where:
            groups.setdefault((item.device, item.candidate), []).append(item)
    for (device, candidate), items in groups.items():
        first = items[0]
        lines = [f"{candidate} over {first.baseline}"]
        if first.interval is not None:
            lines[0] += f"; {interval_text(first)}"
        lines += [speedup_text(other) for other in items[1:]]
        warnings = ["Not a performance claim"] if where == Origin.EMULATED else []
        if where == Origin.ESTIMATED:
            for found in record.estimates:
                if (found.label, found.device) == (candidate, device):
                    lines.append(f"{candidate}: {estimate_text(found)}")
                    warnings += estimate_warnings(found)
        lines += [
            f"{timed.label}: median of {runs_text(timed)}{parts_text(timed)}"
            for timed in record.latencies
            if timed.target == device and timed.label == candidate
        ]
        lines += [remark for item in items for remark in item.remarks]
        yield Card(
            title=f"{_speedup_title(first)} on {place(device)}",
            value=ratio_text(first),
            where=where,
            lines=tuple(dict.fromkeys(lines)),
            warnings=tuple(warnings),
        )


def _speedup_title(speedup: SpeedupRecord) -> str:
    if speedup.where is Origin.EMULATED:
        return "Instructions"
    return "Slow-down" if speedup.value < 1 else "Speed-up"


def estimate_text(item: EstimateRecord) -> str:
    """`224 µs (190 µs to 260 µs)`."""
    return f"{fmt.microseconds(item.us)} ({bounds_text(item)})"


def bounds_text(item: EstimateRecord) -> str:
    """`190 µs to 260 µs`."""
    return f"{fmt.microseconds(item.us_lower)} to {fmt.microseconds(item.us_upper)}"


def _plain_estimate_cards(record: RunRecord) -> Iterator[Card]:
    """Estimates that no speed-up speaks of, so that they are not lost."""
    shown = {(item.device, item.candidate) for item in record.speedups}
    shown |= {(item.device, item.baseline) for item in record.speedups}
    for item in record.estimates:
        if (item.device, item.label) in shown:
            continue
        yield Card(
            title=f"{item.label} on {item.device}",
            value=fmt.microseconds(item.us),
            where=Origin.ESTIMATED,
            lines=(f"bounds {bounds_text(item)}", "no baseline, so no speed-up"),
            warnings=estimate_warnings(item),
        )


def placement_text(placement: PlacementRecord) -> str:
    """`64 of 64`."""
    return f"{fmt.integer(placement.npu)} of {fmt.integer(placement.npu + placement.cpu)}"


def _placement_cards(record: RunRecord) -> Iterator[Card]:
    groups: dict[tuple[str, int, int, int], list[str]] = {}
    for item in record.placements:
        key = (item.label, item.npu, item.cpu, item.partitions)
        groups.setdefault(key, []).append(item.device)
    for (label, npu, cpu, partitions), devices in groups.items():
        yield Card(
            title=f"{label}: nodes on the NPU",
            value=f"{fmt.integer(npu)} of {fmt.integer(npu + cpu)}",
            where=None,
            lines=(
                fmt.join(devices),
                f"{fmt.plural(partitions, 'partition')}, read back from the session",
            ),
            warnings=(f"{fmt.plural(cpu, 'node')} on the CPU",) if cpu else (),
        )


def target_size(target: BundleDeviceRecord) -> tuple[int, int]:
    """Bytes of a compiled target's files, raw and compressed."""
    return (
        sum(file.bytes for file in target.files),
        sum(file.bytes_compressed for file in target.files),
    )


def _size_cards(record: RunRecord) -> Iterator[Card]:
    raw = record.model.bytes
    float_download = fmt.size(record.model.bytes_compressed)
    groups: dict[tuple[str, ...], list[str]] = {}
    for target in record.bundle:
        compiled, compressed = target_size(target)
        share = f", {fmt.number(compiled / raw * 100)} % of it" if raw else ""
        key = (
            fmt.size(compiled),
            f"float model {fmt.size(raw)}{share}",
            f"download {fmt.size(compressed)}, float {float_download} (zlib 6)",
        )
        groups.setdefault(key, []).append(target.device)
    for (value, *lines), devices in groups.items():
        title = f"Size, compiled for {fmt.join(devices)}"
        yield Card(title=title, value=value, where=None, lines=tuple(lines))


def other_figures(record: RunRecord) -> tuple[tuple[str, list[dict[str, Any]]], ...]:
    """Kinds of figures that have no section of their own: a title, and a row a figure."""
    return tuple(
        (name.replace("_", " ").capitalize(), [item.model_dump(mode="json") for item in values])
        for name, values in record
        if name not in _SHOWN and isinstance(values, tuple) and values
        if all(isinstance(item, Record) for item in values)
    )


def pruned_layers(record: RunRecord) -> tuple[dict[str, Any], ...]:
    """Channels of each layer before and after the prune stages, as they wrote them down."""
    return tuple(
        item
        for stage in record.stages
        if stage.name == "prune" and isinstance(stage.details.get("layers"), list)
        for item in stage.details["layers"]
        if isinstance(item, dict) and {"layer", "operator", "before", "after"} <= item.keys()
    )


def shared_warnings(estimates: Sequence[EstimateRecord]) -> tuple[str, ...]:
    """Warnings that hold for every one of several estimates, to be shown once."""
    warnings = [estimate_warnings(item) for item in estimates]
    if not warnings:
        return ()
    return tuple(text for text in warnings[0] if all(text in other for other in warnings))
