"""Latency of the model as given against what the run made, interleaved, on the benchmark target."""

from __future__ import annotations

from dataclasses import dataclass

from snapq.pipeline.proof.subject import Subject
from snapq.progress import Progress
from snapq.records import LatencyRecord, SpeedupRecord

BASELINE = "float32"


@dataclass(frozen=True)
class Timed:
    """What the benchmark found."""

    latencies: tuple[LatencyRecord, ...] = ()
    speedups: tuple[SpeedupRecord, ...] = ()
    remarks: tuple[str, ...] = ()


def prove(subject: Subject, progress: Progress) -> Timed:
    """Times both models with the first evaluation sample; never taken from the cache."""
    from snapq.bundle import MODEL
    from snapq.devices.targets.base import Candidate
    from snapq.devices.targets.resolve import resolve_target

    setting = subject.setting
    protocol, data = setting.config.benchmark, setting.evaluation
    if protocol is None or data is None:
        return Timed()
    sample = next(iter(data))
    candidates = [Candidate(BASELINE, subject.source.model, sample.feeds)]
    if subject.bundle is not None:
        feeds = subject.boundary.package_feeds(sample)
        candidates.append(Candidate(subject.label, subject.bundle / MODEL, feeds))
    elif subject.quantized is not None:
        feeds = subject.boundary.model_feeds(sample)
        candidates.append(Candidate(subject.label, subject.quantized.model, feeds))
    with progress.track(f"Benchmark on {protocol.target}", 100) as advance:
        done = 0

        def show(share: float) -> None:
            nonlocal done
            advance(int(100 * share) - done)
            done = int(100 * share)

        found = resolve_target(protocol.target).measure(candidates, protocol, show)
    return Timed(found.latencies, found.speedups, found.remarks)
