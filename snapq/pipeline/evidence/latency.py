"""Latency of the model as given against what the run made, interleaved, on the benchmark target."""

from __future__ import annotations

from dataclasses import dataclass

from snapq.config import BenchmarkConfig
from snapq.pipeline.evidence.subject import Subject
from snapq.progress import Percent, Progress
from snapq.records import LatencyRecord, SpeedupRecord
from snapq.records.bench import BenchRecord


@dataclass(frozen=True)
class Timed:
    """What the benchmark found."""

    latencies: tuple[LatencyRecord, ...] = ()
    speedups: tuple[SpeedupRecord, ...] = ()
    remarks: tuple[str, ...] = ()
    records: tuple[BenchRecord, ...] = ()


def check_target(protocol: BenchmarkConfig | None, progress: Progress) -> None:
    """Refuses a target that cannot measure before any work is done. Raises `SnapqError`."""
    from snapq.benchmarking.targets.resolve import resolve_target

    if protocol is not None:
        resolve_target(protocol.target, told=progress).check(protocol)


def prove(subject: Subject, progress: Progress) -> Timed:
    """Times both models with the first evaluation sample; never taken from the cache."""
    from snapq.benchmarking.targets.base import Candidate
    from snapq.benchmarking.targets.resolve import resolve_target
    from snapq.bundle import MODEL

    setting = subject.setting
    protocol, data = setting.config.benchmark, setting.evaluation
    if protocol is None or data is None:
        return Timed()
    sample = next(iter(data))
    candidates = [Candidate(protocol.baseline, subject.source.model, sample.feeds)]
    if subject.bundle is not None:
        feeds = subject.boundary.package_feeds(sample)
        candidates.append(Candidate(subject.label, subject.bundle / MODEL, feeds, subject.bundle))
    elif subject.quantized is not None:
        feeds = subject.boundary.model_feeds(sample)
        candidates.append(Candidate(subject.label, subject.quantized.model, feeds))
    target = resolve_target(protocol.target, told=progress)
    with progress.track(f"Benchmark on {protocol.target}", 100) as advance:
        found = target.measure(candidates, protocol, Percent(advance))
    return Timed(found.latencies, found.speedups, found.remarks, found.records)
