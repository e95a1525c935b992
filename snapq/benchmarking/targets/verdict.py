"""Whether the NPU or the CPU wins, of a classical model: both were timed at the same place.

Where the NPU ran, both sides are measured. Where it did not, its own time is the estimate and the
rest is measured, and the sentence says so. An emulated board has no times.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from snapq.benchmarking.statistics import speedup, speedup_interval
from snapq.benchmarking.targets.base import Candidate
from snapq.bundle.manifest import read_manifest
from snapq.bundle.schema import BundleDevice
from snapq.classical.advice import CALL_US, Advice
from snapq.records import EstimateRecord, Origin
from snapq.records.bench import BenchRecord, BenchVerdict

__all__ = ["with_verdicts"]

_CPU = "cpu"


def with_verdicts(
    records: Sequence[BenchRecord], candidates: Sequence[Candidate]
) -> tuple[BenchRecord, ...]:
    """The results, with a verdict in each of a classical package beside which the CPU was timed.

    Args:
        records: of one benchmark.
        candidates: what was timed, in the same order.
    """
    found = list(records)
    for index, (record, candidate) in enumerate(zip(records, candidates, strict=True)):
        rivals = [one for one in records if one is not record and _on_cpu(one)]
        if record.parts_ms is None or candidate.bundle is None or not rivals:
            continue
        rival = min(rivals, key=lambda one: one.latency_ms.p50)
        for verdict in _verdict(record, rival, candidate):
            found[index] = record.model_copy(update={"verdict": verdict})
    return tuple(found)


def _on_cpu(record: BenchRecord) -> bool:
    return record.placement.fallback == _CPU and record.parts_ms is None


def _verdict(
    record: BenchRecord, rival: BenchRecord, candidate: Candidate
) -> Iterator[BenchVerdict]:
    if record.where is Origin.EMULATED:
        yield _emulated(record, rival)
    elif not _on_npu(record):
        yield from _estimated(record, rival, candidate)
    else:
        yield _measured(record, rival)


def _on_npu(record: BenchRecord) -> bool:
    return record.placement.fallback != _CPU


def _measured(record: BenchRecord, rival: BenchRecord) -> BenchVerdict:
    base, own = np.array(rival.samples), np.array(record.samples)
    gain = speedup(base, own)
    rounds = min(len(base), len(own))
    low, high = speedup_interval(base[:rounds], own[:rounds]) or (gain, gain)
    name, times = rival.model.label, _times(record)
    where = f"{_many(record)} on {record.target.name}"
    theirs = f"{name} takes {_ms(rival.latency_ms.p50)}"
    if low > 1:
        winner, text = "npu", f"At {where} the NPU wins, {gain:.1f} times as fast"
    elif high < 1:
        winner, text = "cpu", f"At {where} the CPU wins, {1 / gain:.1f} times as fast"
    else:
        winner, text = "neither", f"At {where} the NPU and the CPU are equally fast"
    return BenchVerdict(
        winner=winner,
        where=Origin.MEASURED,
        rival=name,
        gain=gain,
        sentence=f"{text} (measured): the NPU's way takes {times}, {theirs}.",
    )


def _estimated(
    record: BenchRecord, rival: BenchRecord, candidate: Candidate
) -> Iterator[BenchVerdict]:
    """The estimate of the device, or of the first that the bundle is for."""
    assert candidate.bundle is not None
    assert record.parts_ms is not None
    devices = [one for one in _devices(candidate.bundle) if one.estimate is not None]
    device = next((one for one in devices if one.device == record.target.soc), None)
    device = device or next(iter(devices), None)
    name, here = rival.model.label, record.target.name == "local"
    where = "this machine" if here else record.target.name
    head = f"The NPU did not run on {where}, so that its time is an estimate"
    if device is None:
        yield BenchVerdict(
            winner=None,
            where=Origin.MEASURED,
            rival=name,
            gain=None,
            sentence=f"The NPU did not run on {where}, and the bundle has no estimate of it: "
            "nothing tells who wins.",
        )
        return
    npu_us = EstimateRecord.model_validate(device.estimate).precise_us
    host_us = 1000 * (record.parts_ms.encode + record.parts_ms.decode)
    advice = Advice(
        record.rows or 0,
        1000 * rival.latency_ms.p50,
        npu_us,
        host_us,
        name,
        place="here" if here else f"on {where}",
    )
    yield BenchVerdict(
        winner="npu" if advice.npu else "cpu",
        where=Origin.ESTIMATED,
        rival=name,
        gain=advice.gain,
        sentence=f"{head} (of {device.device}, with {CALL_US:,.0f} us for the call). "
        f"{advice.sentence}",
    )


def _devices(bundle: Path) -> Iterator[BundleDevice]:
    """Those of the bundle, and of the packages of other precisions in it."""
    manifest = read_manifest(bundle)
    yield from manifest.devices
    for package in manifest.packages:
        yield from read_manifest(bundle / package.path).devices


def _emulated(record: BenchRecord, rival: BenchRecord) -> BenchVerdict:
    parts = record.parts_ms
    assert parts is not None
    return BenchVerdict(
        winner=None,
        where=Origin.EMULATED,
        rival=rival.model.label,
        gain=None,
        sentence=f"At {_many(record)} an emulated board says nothing of who wins: it has no NPU, "
        f"and counts instructions ({_count(parts.encode)} for the head, {_count(parts.call)} for "
        f"the part for the NPU on its CPU, {_count(parts.decode)} for the tail; "
        f"{_count(rival.latency_ms.p50)} for {rival.model.label}).",
    )


def _many(record: BenchRecord) -> str:
    return f"{record.rows:,} row{'s' if record.rows != 1 else ''}"


def _times(record: BenchRecord) -> str:
    parts = record.parts_ms
    assert parts is not None
    return (
        f"{_ms(record.latency_ms.p50)} (encode {_ms(parts.encode)}, call {_ms(parts.call)}, "
        f"decode {_ms(parts.decode)})"
    )


def _ms(value: float) -> str:
    return f"{value:.3g} ms"


def _count(ms: float) -> str:
    return f"{ms:,.2f} million"
