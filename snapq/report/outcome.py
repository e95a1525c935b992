"""How a run ended, and what a reader must be warned of: the top of every report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from snapq.records import AccuracyRecord, EstimateRecord, FidelityRecord, GateRecord, RunRecord
from snapq.report import formatting as fmt
from snapq.report import texts


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


def precisions(record: RunRecord) -> tuple[str, ...]:
    """Labels of what the run made beside the float model, in order of appearance."""
    labels = [item.label for item in record.fidelity] + [item.label for item in record.accuracy]
    labels += [item.label for item in record.perplexities]
    return tuple(dict.fromkeys(label for label in labels if label != texts.FLOAT))


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
    for text, of in labels.items():
        yield f"{text[:-1]} ({fmt.join(list(dict.fromkeys(of)))})."


def estimate_warnings(estimate: EstimateRecord) -> tuple[str, ...]:
    """What a reader must know before using an estimate."""
    other = (
        f"{estimate.device} has no estimate of its own; this is the figure of "
        f"{estimate.estimated_on}."
    )
    return (
        *((other,) if estimate.estimated_on != estimate.device else ()),
        *missing_cost(estimate),
    )


def missing_cost(estimate: EstimateRecord) -> tuple[str, ...]:
    """That an estimate lacks operators; nothing where it has all."""
    if not estimate.missing_ops:
        return ()
    return (
        f"The estimate for {estimate.device} is too low: "
        f"{fmt.plural(estimate.missing_ops, 'operator')} without a cost in it.",
    )


def shared_warnings(estimates: Sequence[EstimateRecord]) -> tuple[str, ...]:
    """Warnings that hold for every one of several estimates, to be shown once."""
    warnings = [estimate_warnings(item) for item in estimates]
    if not warnings:
        return ()
    return tuple(text for text in warnings[0] if all(text in other for other in warnings))
