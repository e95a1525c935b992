"""From what the agent found to results: figures, validity, and the line that says where it ran."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from snapq.benchmarking.statistics import doubts, no_claim, uneven_counts
from snapq.benchmarking.targets.golden_answers import (
    WRONG,
    answers_met,
    answers_reasons,
    judged,
    worst,
)
from snapq.benchmarking.targets.results import latency_of, parts_of, protocol_of, speedup_of
from snapq.boards.session.answers import Conditions, GoldenSaid, Loaded
from snapq.boards.session.fallbacks import CPU, headline, skipped
from snapq.boards.session.load import Load
from snapq.boards.session.measure import Found, Session
from snapq.boards.session.probe import BoardFacts
from snapq.config import BenchmarkConfig
from snapq.devices.profiles import DeviceProfile
from snapq.records import Origin
from snapq.records import bench as results
from snapq.version import __version__

_SLOWER = 0.9
_CLOCKS_DIFFER = 1.05
"""How much faster a board's clock may run than the host's."""


@dataclass(frozen=True)
class Setting:
    """What all results of one measurement share."""

    target: str
    transport: str
    facts: BoardFacts
    device: DeviceProfile | None
    protocol: BenchmarkConfig
    where: Origin


def bench_records(
    setting: Setting,
    session: Session,
    loads: Sequence[Load],
    names: Sequence[str],
    rows: Sequence[int | None],
) -> tuple[results.BenchRecord, ...]:
    """One record a model; the first is the baseline of the others.

    Args:
        setting: what they share.
        session: what the agent found.
        loads: what was sent, in the order of the candidates.
        names: file names of the models, in the same order.
        rows: how many rows each answers in one run, of classical models.
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    thermal = thermal_of(session.conditions)
    records: list[results.BenchRecord] = []
    for load, name, count in zip(loads, names, rows, strict=True):
        base, first = records[0] if records else None, session.models[loads[0].label]
        record = _record(setting, session, load, name, thermal, base, first, started)
        records.append(record.model_copy(update={"rows": count}))
    return tuple(records)


def _record(
    setting: Setting,
    session: Session,
    load: Load,
    name: str,
    thermal: results.BenchThermal,
    base: results.BenchRecord | None,
    first: Found,
    started: str,
) -> results.BenchRecord:
    found, protocol, facts = session.models[load.label], setting.protocol, setting.facts
    samples = found.samples
    on_npu = found.fallback != CPU
    golden, answers = tuple(_golden(found)), tuple(_answers(found, load))
    passed = skipped(load, found.skipped)
    baseline = base and results.BenchBaseline(
        run_id=base.run_id,
        label=base.model.label,
        conditions_match=(base.placement.fallback == CPU) == (not on_npu),
    )
    last = found.loads[-1]
    latency = latency_of(samples)
    valid = _validity(setting, session, load, thermal, golden, answers)
    return results.BenchRecord(
        run_id=str(uuid.uuid4()),
        started_at=started,
        snapq_version=__version__,
        where=setting.where,
        headline=headline(load.label, setting.target, found.fallback, passed)
        + (WRONG if valid.answers_met is False else ""),
        model=results.BenchModel(
            name=name, label=load.label, sha256=load.files[0].sha256, bytes=load.size
        ),
        target=results.BenchTarget(
            name=setting.target,
            transport=setting.transport,
            soc=setting.device.name if setting.device else None,
            soc_id=facts.soc_id,
            architecture=setting.device.architecture if setting.device else None,
            host=facts.system.host,
            os=facts.system.os,
            kernel=facts.system.kernel,
            machine=facts.system.machine,
            cpu=facts.processor.model,
            cores=facts.processor.cores,
        ),
        runtime=results.BenchRuntime(
            versions=last.runtime, backend="htp" if on_npu else CPU, options=last.options
        ),
        placement=results.BenchPlacement(
            fallback=found.fallback,
            skipped=passed,
            npu=last.placement.npu,
            cpu=last.placement.cpu,
            partitions=last.placement.partitions,
            cpu_nodes=tuple(last.placement.cpu_nodes),
        ),
        protocol=protocol_of(protocol, protocol.performance_mode if on_npu else None),
        load_ms=results.BenchLoad(
            create_cold=_median([one.create_cold_ms for one in found.loads]),
            create_warm=_median([one.create_warm_ms for one in found.loads]),
            first_inference=_median([one.first_ms for one in found.loads]),
        ),
        latency_ms=latency,
        # An emulated board's clock advances by one nanosecond an instruction.
        instructions=round(latency.p50 * 1e6) if setting.where is Origin.EMULATED else None,
        throughput_ips=1000 / latency.mean if latency.mean else 0.0,
        memory=results.BenchMemory(
            before=last.rss_before, loaded=last.rss_loaded, peak=found.rss_peak
        ),
        thermal=thermal,
        golden=golden,
        answers=answers,
        parts_ms=parts_of(samples, found.encode_ms, found.decode_ms),
        baseline=baseline,
        speedup=base and speedup_of(first.samples, samples),
        valid=valid,
        remarks=tuple(_remarks(setting, load.label, samples)),
        samples=tuple(tuple(turn) for turn in found.turns),
    )


def _remarks(setting: Setting, label: str, samples: np.ndarray) -> Iterator[str]:
    """What weakens the figures; counts need no ten rounds."""
    yield from (uneven_counts if setting.where is Origin.EMULATED else doubts)(label, samples)


def _golden(found: Found) -> Iterator[results.BenchGolden]:
    """The worst over all samples and processes, output by output."""
    said: dict[str, list[GoldenSaid]] = {}
    for load in found.loads:
        for sample in load.golden:
            for name, one in sample.items():
                said.setdefault(name, []).append(one)
    for name, all_of in said.items():
        yield results.BenchGolden(
            output=name,
            samples=len(found.loads[0].golden),
            exact=all(one.exact and one.largest == 0 for one in all_of),
            largest=max(one.largest for one in all_of),
            unit="steps" if all_of[0].integer else "absolute",
            span=max(one.span for one in all_of),
        )


def _answers(found: Found, load: Load) -> Iterator[results.BenchAnswers]:
    said = [{n: one.model_dump() for n, one in each.answers.items()} for each in found.loads]
    yield from judged(worst(said), load.golden_rows)


def _validity(
    setting: Setting,
    session: Session,
    load: Load,
    thermal: results.BenchThermal,
    golden: Sequence[results.BenchGolden],
    answers: Sequence[results.BenchAnswers],
) -> results.BenchValid:
    found, protocol = session.models[load.label], setting.protocol
    samples, wanted_npu = found.samples, any(fallback.npu for fallback in load.fallbacks)
    emulated = setting.where is Origin.EMULATED
    runs_met = samples.size >= protocol.min_runs
    duration_met = bool(samples.sum() / 1000 >= protocol.min_duration_s)
    last = found.loads[-1].placement
    on_npu = found.fallback != CPU and not last.cpu and last.npu != 0
    golden_met = all(one.exact for one in golden) if golden and found.fallback != CPU else None
    reasons = [
        reason
        for holds, reason in (
            (runs_met, f"only {samples.size} of {protocol.min_runs} runs"),
            (duration_met or emulated, f"less than {protocol.min_duration_s:g} s of runs"),
            (on_npu or not wanted_npu, "not everything ran on the NPU"),
            (thermal.throttled is not True, "the board slowed its clocks down"),
            (not emulated, "the board is emulated"),
            (golden_met is not False, "the outputs differ from the golden data"),
            *((False, reason) for reason in answers_reasons(answers, has_host=load.has_host)),
            *_proof(setting, session, load),
        )
        if not holds
    ]
    if not emulated:  # instructions need no hundred runs
        reasons += no_claim(samples)
    return results.BenchValid(
        ok=not reasons,
        min_duration_met=duration_met,
        min_runs_met=runs_met,
        all_on_npu=on_npu,
        not_throttled=thermal.throttled is not True,
        not_emulated=not emulated,
        golden_met=golden_met,
        answers_met=answers_met(answers),
        reasons=tuple(reasons),
    )


def _proof(setting: Setting, session: Session, load: Load) -> Iterator[tuple[bool, str]]:
    """What a board must send so that its figures can be a claim: whether it did, and the reason.

    The agent sends all of it; a board that does not is broken, or runs something else.
    """
    found = session.models[load.label]
    compared = all(
        len(one.golden) == len(load.golden) and all(set(s) == load.outputs for s in one.golden)
        for one in found.loads
    )
    yield compared or not load.is_bundle, "outputs were not compared with all golden data"
    yield all(_answered(one, load) for one in found.loads), "the golden rows were not all answered"
    parts = not load.has_host or len(found.encode_ms) == len(found.turns)
    yield parts, "head and tail were not timed"
    yield bool((found.samples > 0).all()), "some runs are said to have taken no time"
    repeats = setting.protocol.repeats
    yield len(found.loads) >= repeats, f"only {len(found.loads)} of {repeats} fresh processes"
    said = {one.when for one in session.conditions}
    yield {"before", "after"} <= said, "the board did not tell its state before and after"
    spent = sum(model.samples.sum() for model in session.models.values()) / 1000
    plausible = setting.where is Origin.EMULATED or spent <= _CLOCKS_DIFFER * session.seconds
    yield bool(plausible), "the times add up to more than the measurement took"


def _answered(said: Loaded, load: Load) -> bool:
    """Whether each golden row was answered, in each output."""
    asked = load.golden_rows
    if asked is None:
        return True
    rows = {one.rows for one in said.answers.values()}
    return set(said.answers) == asked.outputs and rows == {asked.rows}


def thermal_of(conditions: Sequence[Conditions]) -> results.BenchThermal:
    """Temperatures and clocks over a measurement, and whether the board slowed down."""
    if not conditions:
        return results.BenchThermal()
    before = next((c for c in conditions if c.when == "before"), conditions[0])
    after = conditions[-1]
    highest = {
        zone: max(c.celsius.get(zone, celsius) for c in conditions)
        for zone, celsius in before.celsius.items()
    }
    lowest = tuple(
        min((khz for c in conditions if (khz := _at(c.cpu_khz, core)) is not None), default=None)
        for core in range(len(before.cpu_khz))
    )
    return results.BenchThermal(
        before=before.celsius,
        highest=highest,
        after=after.celsius,
        cpu_khz_before=tuple(before.cpu_khz),
        cpu_khz_lowest=lowest,
        governors=tuple(before.governors),
        throttled=_throttled(before, conditions),
    )


def _throttled(before: Conditions, conditions: Sequence[Conditions]) -> bool | None:
    """Whether the kernel held the clocks down; None where it shows neither limits nor cooling."""
    told = [c for c in conditions if c.cooling is not None]
    limits = [limit for limit in before.cpu_limit_khz if limit]
    if not told and not limits:
        return None
    if before.cooling is not None and any((c.cooling or 0) > before.cooling for c in told):
        return True
    return any(
        (now := _at(c.cpu_limit_khz, core)) is not None and now < _SLOWER * limit
        for c in conditions
        for core, limit in enumerate(before.cpu_limit_khz)
        if limit
    )


def _at(values: Sequence[int | None], index: int) -> int | None:
    return values[index] if index < len(values) else None


def _median(values: Sequence[float]) -> float:
    return float(np.median(values))
