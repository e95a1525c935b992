"""The whole result of a benchmark on this machine's CPU, as a board's."""

from __future__ import annotations

import os
import platform
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import numpy as np

from snapq.benchmarking.statistics import doubts, no_claim
from snapq.benchmarking.targets.golden_answers import WRONG, answers_met, answers_reasons
from snapq.benchmarking.targets.results import latency_of, protocol_of, speedup_of
from snapq.config import BenchmarkConfig
from snapq.records import Origin
from snapq.records import bench as results
from snapq.storage import sha256_file
from snapq.version import __version__

NAME = "local"


@dataclass(frozen=True)
class Timed:
    """What was found about one model."""

    label: str
    model: Path
    samples: np.ndarray
    """Latencies in ms, `[rounds, runs in a turn]`."""
    create_ms: float
    first_ms: float
    peak_rss_bytes: int
    rows: int | None = None
    """How many rows a classical model answers in one run."""
    has_host: bool = False
    """Whether head and tail stand around it, so that it is the part for an NPU."""
    parts: results.BenchParts | None = None
    answers: tuple[results.BenchAnswers, ...] = ()


def local_records(
    timed: Sequence[Timed], protocol: BenchmarkConfig, remarks: Sequence[str]
) -> tuple[results.BenchRecord, ...]:
    """One record a model; the first is the baseline of the others."""
    started = datetime.now(UTC).isoformat(timespec="seconds")
    records: list[results.BenchRecord] = []
    for one in timed:
        first = records[0] if records else None
        latency = latency_of(one.samples)
        runs_met = latency.n >= protocol.min_runs
        few = () if runs_met else (f"only {latency.n} of {protocol.min_runs} runs",)
        reasons = (*few, *_reasons(one), *no_claim(one.samples))
        records.append(
            results.BenchRecord(
                run_id=str(uuid.uuid4()),
                started_at=started,
                snapq_version=__version__,
                where=Origin.MEASURED,
                headline=_headline(one),
                model=results.BenchModel(
                    name=one.model.name,
                    label=one.label,
                    sha256=sha256_file(one.model),
                    bytes=one.model.stat().st_size,
                ),
                target=_target(),
                runtime=results.BenchRuntime(versions=_versions(), backend="cpu"),
                placement=results.BenchPlacement(fallback="cpu", npu=0),
                protocol=protocol_of(protocol),
                load_ms=results.BenchLoad(
                    create_cold=one.create_ms, create_warm=None, first_inference=one.first_ms
                ),
                latency_ms=latency,
                throughput_ips=1000 / latency.mean if latency.mean else 0.0,
                memory=results.BenchMemory(before=None, loaded=None, peak=one.peak_rss_bytes),
                thermal=results.BenchThermal(),
                baseline=first
                and results.BenchBaseline(
                    run_id=first.run_id, label=first.model.label, conditions_match=True
                ),
                speedup=first and speedup_of(timed[0].samples, one.samples),
                valid=results.BenchValid(
                    ok=not reasons,
                    min_duration_met=True,
                    min_runs_met=runs_met,
                    all_on_npu=False,
                    not_throttled=True,
                    not_emulated=True,
                    answers_met=answers_met(one.answers),
                    reasons=reasons,
                ),
                answers=one.answers,
                rows=one.rows,
                parts_ms=one.parts,
                remarks=(*remarks, *doubts(one.label, one.samples)),
                samples=tuple(tuple(map(float, turn)) for turn in one.samples),
            )
        )
    return tuple(records)


def _headline(one: Timed) -> str:
    """Where it ran; what is for an NPU is said to have none here."""
    text = f"{one.label} ran on this machine's CPU."
    if one.has_host:
        text = f"{one.label} ran on this machine's CPU, its part for the NPU too: there is none."
    return text + (WRONG if answers_met(one.answers) is False else "")


def _reasons(one: Timed) -> Iterator[str]:
    if one.has_host:
        yield "the part for the NPU ran on the CPU"
    yield from answers_reasons(one.answers, has_host=one.has_host)


def _target() -> results.BenchTarget:
    return results.BenchTarget(
        name=NAME,
        transport=NAME,
        host=platform.node(),
        os=platform.system(),
        kernel=platform.release(),
        machine=platform.machine(),
        cpu=platform.processor(),
        cores=os.cpu_count(),
    )


def _versions() -> dict[str, str]:
    libraries = ("onnxruntime", "numpy")
    return {"python": platform.python_version()} | {n: metadata.version(n) for n in libraries}
