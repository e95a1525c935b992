"""What the results of all targets share, and a measurement made of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from snapq.benchmarking.statistics import speedup, speedup_interval
from snapq.benchmarking.targets.base import Candidate, Measurement
from snapq.config import BenchmarkConfig
from snapq.errors import ConfigError
from snapq.records import LatencyRecord, SpeedupRecord
from snapq.records import bench as results


def check_labels(labels: Sequence[str]) -> None:
    """Refuses a benchmark of nothing, or of two with one label. Raises `ConfigError`."""
    if not labels or len(set(labels)) != len(labels):
        raise ConfigError(f"A benchmark needs candidates with labels of their own, not {labels}.")


def rows_of(candidate: Candidate) -> int | None:
    """How many rows a classical model answers in one run; None of a network."""
    if candidate.answers_of is None:
        return None
    return len(next(iter(candidate.feeds.values())))


def parts_of(
    samples: np.ndarray, encode_ms: Sequence[Sequence[float]], decode_ms: Sequence[Sequence[float]]
) -> results.BenchParts | None:
    """Medians of head, call and tail; None where they were not timed apart.

    Args:
        samples: latencies in ms, `[rounds, runs in a turn]`.
        encode_ms: what the head took of each.
        decode_ms: what the tail took.
    """
    if not encode_ms:
        return None
    head, tail = np.array(encode_ms), np.array(decode_ms)
    return results.BenchParts(
        encode=float(np.median(head)),
        call=float(np.median(samples - head - tail)),
        decode=float(np.median(tail)),
    )


def latency_of(samples: np.ndarray) -> results.BenchLatency:
    """Figures of latencies in ms, of any shape; percentiles interpolate linearly between runs."""
    p5, p50, p75, p90, p95, p99, p999 = map(
        float, np.percentile(samples, [5, 50, 75, 90, 95, 99, 99.9])
    )
    return results.BenchLatency(
        n=samples.size,
        mean=float(samples.mean()),
        std=float(samples.std()),
        min=float(samples.min()),
        p5=p5,
        p50=p50,
        p75=p75,
        p90=p90,
        p95=p95,
        p99=p99,
        p999=p999,
        max=float(samples.max()),
    )


def speedup_of(baseline: np.ndarray, candidate: np.ndarray) -> results.BenchSpeedup | None:
    """The speed-up, and its interval over the rounds that both have.

    None where a run is said to have taken no time, which no run does.
    """
    if min(baseline.min(), candidate.min()) <= 0:
        return None
    rounds = min(len(baseline), len(candidate))
    return results.BenchSpeedup(
        value=speedup(baseline, candidate),
        ci95=speedup_interval(baseline[:rounds], candidate[:rounds]),
    )


def with_batches(
    records: Sequence[results.BenchRecord], batches: Sequence[int]
) -> tuple[results.BenchRecord, ...]:
    """The records of runs that take several samples: throughput and speed-ups are of samples.

    Args:
        records: the first is the baseline of the others.
        batches: how many samples a run of each takes.
    """
    found = []
    for record, batch in zip(records, batches, strict=True):
        share, speedup_ = batch / batches[0], record.speedup
        if speedup_ is not None and share != 1:
            low_high = speedup_.ci95 and (speedup_.ci95[0] * share, speedup_.ci95[1] * share)
            speedup_ = results.BenchSpeedup(value=speedup_.value * share, ci95=low_high)
        changes = {
            "batch": batch,
            "throughput_ips": record.throughput_ips * batch,
            "speedup": speedup_,
        }
        found.append(record if batch == 1 and share == 1 else record.model_copy(update=changes))
    return tuple(found)


def protocol_of(
    protocol: BenchmarkConfig, performance_mode: str | None = None
) -> results.BenchProtocol:
    """How a model was timed."""
    shared = protocol.model_dump(include=set(results.BenchProtocol.model_fields))
    return results.BenchProtocol(**{**shared, "performance_mode": performance_mode})


def measurement_of(records: Sequence[results.BenchRecord]) -> Measurement:
    """The results of one benchmark, the first that of the baseline."""
    remarks = (r for record in records for r in (*_validity_remarks(record), *record.remarks))
    return Measurement(
        latencies=tuple(_latency(record) for record in records),
        speedups=tuple(_speedups(records)),
        samples={record.model.label: np.array(record.samples) for record in records},
        remarks=tuple(dict.fromkeys(remarks)),
        records=tuple(records),
    )


def _validity_remarks(record: results.BenchRecord) -> Iterator[str]:
    if not record.valid.ok:
        yield f"{record.model.label}: not a claim, {'; '.join(record.valid.reasons)}."


def _latency(record: results.BenchRecord) -> LatencyRecord:
    found = record.latency_ms
    return LatencyRecord(
        label=record.model.label,
        target=record.target.name,
        where=record.where,
        threads=record.protocol.threads,
        runs=found.n,
        warmup=record.protocol.warmup,
        mean_ms=found.mean,
        std_ms=found.std,
        min_ms=found.min,
        p50_ms=found.p50,
        p90_ms=found.p90,
        p99_ms=found.p99,
        max_ms=found.max,
        create_ms=record.load_ms.create_cold,
        first_ms=record.load_ms.first_inference,
        peak_rss_bytes=record.memory.peak,
        placement="cpu" if record.placement.fallback == "cpu" else "npu",
        rows=record.rows,
        batch=record.batch,
        encode_ms=record.parts_ms and record.parts_ms.encode,
        decode_ms=record.parts_ms and record.parts_ms.decode,
    )


def _speedups(records: Sequence[results.BenchRecord]) -> Iterator[SpeedupRecord]:
    baseline, *others = records
    for other in others:
        if other.speedup is not None:
            remarks = (*_validity_remarks(other), *baseline.remarks, *other.remarks)
            yield SpeedupRecord(
                baseline=baseline.model.label,
                candidate=other.model.label,
                value=other.speedup.value,
                where=other.where,
                device=other.target.name,
                interval=other.speedup.ci95,
                remarks=tuple(dict.fromkeys(remarks)),
            )
