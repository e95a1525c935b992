"""Latency of the model as given against what the run made, interleaved, on the benchmark target."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from snapq.benchmarking.targets.base import Candidate
from snapq.benchmarking.targets.resolve import resolve_target
from snapq.bundle import CPU, MODEL
from snapq.config import BenchmarkConfig
from snapq.graph.boundary import gathered
from snapq.pipeline.evidence.base import Evidence, Found, Subject
from snapq.progress import Percent, Progress
from snapq.records import Figures
from snapq.stages.base import Input, Reads


def check_target(protocol: BenchmarkConfig | None, progress: Progress) -> None:
    """Refuses a target that cannot measure before any work is done. Raises `SnapqError`."""
    if protocol is not None:
        resolve_target(protocol.target, reporter=progress).check(protocol)


def gather(subject: Subject) -> Found:
    """Times both models with the first evaluation sample."""
    protocol, sample = subject.benchmark, subject.examples[0]
    candidates = [Candidate(protocol.baseline, subject.source.model, sample.feeds)]
    if subject.whole is not None:
        candidates = list(_classical(subject, subject.whole.model))
    elif subject.bundle is not None:
        plan, batch = subject.package_boundary, subject.package_boundary.batch
        feeds = gathered([plan.package_feeds(one) for one in subject.examples[:batch]], batch)
        model = subject.bundle / MODEL
        candidates.append(Candidate(subject.label, model, feeds, subject.bundle, batch=batch))
    elif subject.quantized is not None:
        feeds = subject.plan.model_feeds(sample)
        candidates.append(Candidate(subject.label, subject.quantized.model, feeds))
    target = resolve_target(protocol.target, reporter=subject.progress)
    with subject.progress.track(f"Benchmark on {protocol.target}", 100) as advance:
        found = target.measure(candidates, protocol, Percent(advance))
    figures = Figures(latencies=found.latencies, speedups=found.speedups, benches=found.records)
    return Found(figures, found.remarks)


def _classical(subject: Subject, whole: Path) -> Iterator[Candidate]:
    """All take the same rows: the model as given, that for the CPU alone, and the package."""
    protocol, rows, bundle = subject.benchmark, subject.examples[0].beside, subject.bundle
    yield Candidate(protocol.baseline, whole, rows, answers_of=bundle)
    if bundle is None:
        return
    if (bundle / CPU).is_file():
        yield Candidate(CPU, bundle / CPU, rows, answers_of=bundle)
    if not _is_here(protocol):
        yield Candidate(subject.label, bundle / MODEL, rows, bundle, bundle)


def _is_here(protocol: BenchmarkConfig) -> bool:
    """Whether this machine's CPU is timed, where a part for the NPU says nothing of its own."""
    return protocol.target == "local"


EVIDENCE = Evidence(
    "latency",
    Reads(
        (Input.BENCHMARK, Input.EXAMPLES, Input.GIVEN, Input.BOUNDARY),
        (Input.QUANTIZED, Input.PACKAGE, Input.WHOLE),
    ),
    gather,
    kept=False,
)
