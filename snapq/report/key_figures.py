"""The key figures of a run, in the order of the story: right, fast, on the NPU, small."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from snapq.records import AccuracyRecord, FidelityRecord, Origin, RunRecord, SpeedupRecord
from snapq.report import classical, language, outcome, predictions, texts
from snapq.report import formatting as fmt


@dataclass(frozen=True)
class Card:
    """A key figure: its title, its value, the word for how it came to be, what it rests on."""

    title: str
    value: str
    where: Origin | None
    lines: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def cards(record: RunRecord) -> tuple[Card, ...]:
    """The key figures, in the order of the story: right, fast, on the NPU, small."""
    quantized = tuple(item for item in record.accuracy if item.label != texts.FLOAT)
    return (
        *(_accuracy_card(record, item) for item in quantized or record.accuracy),
        *_answers_cards(record),
        *_language_cards(record),
        *_fidelity_cards(record),
        *_advice_cards(record),
        *_speedup_cards(record, Origin.PREDICTED),
        *_prediction_cards(record),
        *_speedup_cards(record, Origin.ESTIMATED),
        *_plain_estimate_cards(record),
        *_placement_cards(record),
        *_size_cards(record),
        *_speedup_cards(record, Origin.MEASURED),
        *_speedup_cards(record, Origin.EMULATED),
    )


def _accuracy_card(record: RunRecord, item: AccuracyRecord) -> Card:
    change = texts.accuracy_change(record, item)
    on = f" on {item.device}" if item.device else ""
    return Card(
        title=f"{fmt.metric_name(item.metric)}, {item.label}{on}",
        value=fmt.metric_value(item.metric, item.value),
        where=item.where,
        lines=(*((change,) if change else ()), texts.samples_text(item)),
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


def _language_cards(record: RunRecord) -> Iterator[Card]:
    """Of a language model: how near to float, how fast, how large."""
    for item in record.perplexities:
        yield Card(
            title=f"Perplexity, {item.label} on {item.device}",
            value=language.perplexity_value(item),
            where=item.where,
            lines=(language.agreement_text(item), language.perplexity_text(item)),
        )
    sizes = {item.context for item in record.language_models}
    for time in record.context_times:
        if time.context in sizes:
            yield Card(
                title=f"Decoding on {time.device}, context {fmt.integer(time.context)}",
                value=language.context_value(time),
                where=Origin.ESTIMATED,
                lines=(language.context_text(time), "of the accelerator alone"),
            )
    for binary in record.pair_binaries:
        value, text = language.binary_text(binary)
        yield Card(title=f"Binary for {binary.device}", value=value, where=None, lines=(text,))


def _fidelity_cards(record: RunRecord) -> Iterator[Card]:
    groups: dict[tuple[str, str | None, Origin], list[FidelityRecord]] = {}
    for item in record.fidelity:
        groups.setdefault((item.label, item.device, item.where), []).append(item)
    for (label, device, where), every in groups.items():
        items = texts.speaking(every)
        if not items:
            continue
        if items[0].agreement is not None:
            yield _equal_card(min(items, key=lambda item: item.agreement or 0.0))
            continue
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
                f"cosine {fmt.cosine(worst.cosine)}; baseline: float",
                texts.samples_text(worst),
            ),
            warnings=("Random inputs",) if worst.random_inputs else (),
        )


def _equal_card(item: FidelityRecord) -> Card:
    """That of a network which gives whole numbers alone, such as the class of each pixel."""
    return Card(
        title=f"Equal elements, {item.label}{f' on {item.device}' if item.device else ''}",
        value=f"{fmt.number((item.agreement or 0.0) * 100)} %",
        where=item.where,
        lines=(f"{item.output}; baseline: float", texts.samples_text(item)),
        warnings=("Random inputs",) if item.random_inputs else (),
    )


def _speedup_cards(record: RunRecord, where: Origin) -> Iterator[Card]:
    groups: dict[tuple[str, str], list[SpeedupRecord]] = {}
    for item in record.speedups:
        if item.where == where:
            groups.setdefault((item.device, item.candidate), []).append(item)
    for (device, candidate), items in groups.items():
        first = items[0]
        lines = [f"{candidate} over {first.baseline}"]
        if first.interval is not None:
            lines[0] += f"; {texts.interval_text(first)}"
        lines += [texts.speedup_text(other) for other in items[1:]]
        warnings = ["Not a performance claim"] if where == Origin.EMULATED else []
        if where == Origin.PREDICTED:
            lines += [
                f"{one.label}: {one.value}; {predictions.text(one)}"
                for one in predictions.of_device(record, device)
                if one.label in (candidate, first.baseline)
            ]
        if where == Origin.ESTIMATED:
            for found in record.estimates:
                if (found.label, found.device) == (candidate, device):
                    lines.append(f"{candidate}: {texts.estimate_text(found)}")
                    # Remarks say of which device both figures of a ratio are.
                    told = any(item.remarks for item in items)
                    say = outcome.missing_cost if told else outcome.estimate_warnings
                    warnings += say(found)
        lines += [
            f"{timed.label}: median of {texts.runs_text(timed)}{texts.parts_text(timed)}"
            for timed in record.latencies
            if timed.target == device and timed.label == candidate
        ]
        lines += [remark for item in items for remark in item.remarks]
        yield Card(
            title=f"{_speedup_title(first)} {texts.place(device)}",
            value=texts.ratio_text(first),
            where=where,
            lines=tuple(dict.fromkeys(lines)),
            warnings=tuple(warnings),
        )


def _speedup_title(speedup: SpeedupRecord) -> str:
    if speedup.where is Origin.EMULATED:
        return "Instructions on"
    word = "Slow-down" if speedup.value < 1 else "Speed-up"
    return f"{word} on a board with" if speedup.where is Origin.PREDICTED else f"{word} on"


def _prediction_cards(record: RunRecord) -> Iterator[Card]:
    """Predictions without a baseline, and devices without one."""
    for item in predictions.unlike(record):
        yield Card(
            title=f"{item.label} on a board with {item.device}",
            value="no prediction" if item.us is None else fmt.milliseconds(item.us / 1000),
            where=None if item.us is None else Origin.PREDICTED,
            lines=(item.value, predictions.text(item)) if item.us is not None else (item.reason,),
        )


def _plain_estimate_cards(record: RunRecord) -> Iterator[Card]:
    """Estimates that no speed-up speaks of, so that they are not lost."""
    spoken = [item for item in record.speedups if item.where is Origin.ESTIMATED]
    shown = {(item.device, item.candidate) for item in spoken}
    shown |= {(item.device, item.baseline) for item in spoken}
    for item in record.estimates:
        if (item.device, item.label) in shown:
            continue
        yield Card(
            title=f"{item.label} on {item.device}",
            value=fmt.microseconds(item.us),
            where=Origin.ESTIMATED,
            lines=(
                f"bounds {texts.bounds_text(item)}{texts.call_text(item.us, item.batch)}",
                "no baseline, so no speed-up",
            ),
            warnings=outcome.estimate_warnings(item),
        )


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


def _size_cards(record: RunRecord) -> Iterator[Card]:
    raw = record.model.bytes
    float_download = fmt.size(record.model.bytes_compressed)
    groups: dict[tuple[str, ...], list[str]] = {}
    for target in record.bundle:
        compiled, compressed = texts.target_size(target)
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
