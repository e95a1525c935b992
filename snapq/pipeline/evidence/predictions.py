"""Predicted latencies of the package and of the fastest form that it is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from snapq.bundle import MODEL
from snapq.devices.profiles import DeviceProfile
from snapq.errors import SnapqError
from snapq.npu.memory import Memory
from snapq.npu.model import Source, Variants
from snapq.pipeline.evidence.base import Subject
from snapq.pipeline.evidence.baselines import Baselines
from snapq.prediction.calibration import OwnMeasurements
from snapq.prediction.predict import CLASSICAL, Predictor, no_prediction, predicted_speedup
from snapq.records import EstimateRecord, PredictionRecord, SpeedupRecord
from snapq.stages.base import Input

__all__ = ["Predicted", "predict"]


@dataclass
class Predicted:
    """What was predicted."""

    predictions: list[PredictionRecord] = field(default_factory=list)
    speedups: list[SpeedupRecord] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def predict(
    subject: Subject,
    packages: Sequence[EstimateRecord],
    baselines: Baselines,
    estimates: Sequence[EstimateRecord],
    memory: Memory,
) -> Predicted:
    """Predicts the package on every device, and its speed-up over the fastest baseline there.

    Args:
        subject: what the run has.
        packages: estimates of the package, one a device.
        baselines: the models that it is compared with.
        estimates: of the baselines.
        memory: of estimates.
    """
    result = Predicted()
    own: OwnMeasurements = subject.read(Input.OWN_MEASUREMENTS) or OwnMeasurements()
    if own.problem is not None:
        result.notes.append(own.problem)
    predictor = Predictor.published(memory, own.by_device)
    assert subject.bundle is not None
    source = Source(subject.bundle / MODEL)
    variants = Variants(subject.optimization_modes, thin_strides=subject.thin_strides)
    devices = {device.name: device for device in subject.devices}
    for package in packages:
        device = devices[package.device]
        found = _of_package(subject, source, package, device, predictor, variants)
        result.predictions.append(found)
        fastest = min(
            (one for one in estimates if one.device == device.name and not one.missing_ops),
            key=lambda one: one.cycles,
            default=None,
        )
        if found.us is None or fastest is None:
            continue
        form = baselines.of(device)[fastest.label]
        base = _predicted(predictor, form, fastest, device, None)
        result.predictions.append(base)
        speedup = predicted_speedup(base, found)
        if speedup is not None:
            result.speedups.append(speedup)
    return result


def _of_package(
    subject: Subject,
    source: Source,
    package: EstimateRecord,
    device: DeviceProfile,
    predictor: Predictor,
    variants: Variants,
) -> PredictionRecord:
    if subject.read(Input.HOST) is not None:
        return no_prediction(package.label, device, CLASSICAL)
    placements = subject.packaged.placements if subject.packaged is not None else ()
    cpu = next((one.cpu for one in placements if one.device == device.name), 0)
    if cpu:
        text = f"{cpu} nodes run on the CPU, whose time no estimate holds."
        return no_prediction(package.label, device, text)
    return _predicted(predictor, source, package, device, variants)


def _predicted(
    predictor: Predictor,
    source: Source,
    estimate: EstimateRecord,
    device: DeviceProfile,
    variants: Variants | None,
) -> PredictionRecord:
    try:
        return predictor.predict(source, estimate, device, variants=variants)
    except SnapqError as error:  # the run's other figures stand without it
        return no_prediction(estimate.label, device, str(error))
