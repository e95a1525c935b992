"""What the stages did to accuracy, size and time: one file a kind of proof."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from snapq.devices.profiles import DeviceProfile
from snapq.pipeline.cache import Cache
from snapq.pipeline.evidence import (
    encodings,
    estimates,
    latency,
    layers,
    outputs,
    steps,
    tradeoff,
)
from snapq.pipeline.evidence.subject import Subject
from snapq.pipeline.inputs import Setting
from snapq.pipeline.steps import Finished
from snapq.records import (
    AccuracyRecord,
    BundleTargetRecord,
    EncodingRecord,
    EstimateRecord,
    FidelityRecord,
    LatencyRecord,
    LayerRecord,
    PlacementRecord,
    SensitivityRecord,
    SpeedupRecord,
    StepRecord,
    TradeoffRecord,
)
from snapq.records.bench import BenchRecord
from snapq.stages.base import Context


@dataclass(frozen=True)
class Results:
    """Every figure of a run; empty where the run has nothing to take it from."""

    accuracy: tuple[AccuracyRecord, ...] = ()
    fidelity: tuple[FidelityRecord, ...] = ()
    estimates: tuple[EstimateRecord, ...] = ()
    placements: tuple[PlacementRecord, ...] = ()
    latencies: tuple[LatencyRecord, ...] = ()
    speedups: tuple[SpeedupRecord, ...] = ()
    benches: tuple[BenchRecord, ...] = ()
    layers: tuple[LayerRecord, ...] = ()
    steps: tuple[StepRecord, ...] = ()
    sensitivity: tuple[SensitivityRecord, ...] = ()
    tradeoff: tuple[TradeoffRecord, ...] = ()
    encodings: tuple[EncodingRecord, ...] = ()
    bundle: tuple[BundleTargetRecord, ...] = ()
    qairt: str | None = None
    notes: tuple[str, ...] = field(default=())


def prove(
    chosen: Setting,
    finished: Sequence[Finished],
    folder: Path,
    cache: Cache,
    context: Context,
) -> Results:
    """Takes every figure that the finished stages allow.

    Args:
        chosen: the run's setting.
        finished: the steps of the run, the model as given first.
        folder: the run directory that is being built.
        cache: finished work of earlier runs.
        context: what the stages shared.

    Raises:
        SnapqError: a figure cannot be taken although the stages allow it.
    """
    progress = context.progress
    subject = Subject.of(chosen, finished, folder)
    estimated = estimates.prove(subject, cache, progress)
    compared = outputs.prove(subject, cache, progress)
    listed = layers.prove(subject, cache, progress)
    walked = steps.prove(subject, finished, context, cache, progress)
    timed = latency.prove(subject, progress)
    return Results(
        accuracy=compared.accuracy,
        fidelity=compared.fidelity,
        estimates=estimated.estimates,
        placements=subject.placements,
        latencies=timed.latencies,
        speedups=(*estimated.speedups, *timed.speedups),
        benches=timed.records,
        layers=listed.records,
        steps=walked.records,
        sensitivity=tradeoff.sensitivity(subject),
        tradeoff=tradeoff.tradeoff(subject),
        encodings=encodings.prove(subject),
        bundle=subject.bundle_targets,
        qairt=subject.bundle_targets[0].qairt if subject.bundle_targets else None,
        notes=(
            *_random_note(chosen),
            *_quantized_note(chosen),
            *compared.notes,
            *estimated.notes,
            *listed.notes,
            *walked.notes,
            *timed.remarks,
        ),
    )


def gate_speedups(
    speedups: Sequence[SpeedupRecord], devices: Sequence[DeviceProfile]
) -> tuple[SpeedupRecord, ...]:
    """The speed-ups by which `min_estimated_speedup` is judged.

    Those over the unmodified model at fp16, on the devices that have an estimate of their own; on
    all devices where none has.
    """
    over = tuple(s for s in speedups if s.baseline == estimates.UNMODIFIED)
    own = {device.name for device in devices if device.has_estimate}
    return tuple(s for s in over if s.device in own) or over


def _random_note(chosen: Setting) -> tuple[str, ...]:
    if not chosen.random_inputs:
        return ()
    return ("RANDOM INPUTS: encodings and comparisons rest on random inputs and prove nothing.",)


def _quantized_note(chosen: Setting) -> tuple[str, ...]:
    if not chosen.quantized:
        return ()
    return (
        "The model came quantized: `float` stands for the model as given, on this machine's CPU, "
        "and the fp16 baseline is its float form.",
    )


__all__ = ["Results", "gate_speedups", "prove"]
