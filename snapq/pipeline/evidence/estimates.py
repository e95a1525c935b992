"""Qualcomm's estimate of the package against its baselines, and what it means for a board."""

from __future__ import annotations

from collections.abc import Iterator

from snapq.devices.profiles import DeviceProfile
from snapq.errors import DeviceError, QnnError
from snapq.npu.memory import Memory
from snapq.pipeline.evidence.base import Evidence, Found, Subject
from snapq.pipeline.evidence.baselines import (
    OWN_BOUNDARY,
    PREPARED,
    UNMODIFIED,
    Baselines,
    estimated,
)
from snapq.pipeline.evidence.predictions import predict
from snapq.records import EstimateRecord, Figures, Origin, SpeedupRecord
from snapq.stages.base import ESTIMATE, Input, Reads


def gather(subject: Subject) -> Found:
    """Estimates the baselines, sets the package's estimate against them, and predicts both.

    The unmodified baseline is the model as given, the prepared one what the prepare stage made of
    it: some exports take 20 times as long as need be, which is no gain of quantization. The faster
    of both comes first. The baseline with the same boundary is the prepared model that takes the
    package's own input, so that the gain of quantization shows without that of the boundary.
    """
    packages = subject.packaged.estimates if subject.packaged is not None else ()
    if not packages:
        return Found()
    memory = Memory(subject.memo)
    baselines = Baselines(subject, packages[0].label)
    estimates, notes = _estimates(subject, baselines, memory)
    places = {device.name: index for index, device in enumerate(subject.devices)}
    estimates.sort(key=lambda one: (places[one.device], one.label not in OWN_BOUNDARY, one.cycles))
    with subject.progress.track("Predict latencies", 1) as advance:
        predicted = predict(subject, packages, baselines, estimates, memory)
        advance(1)
    figures = Figures(
        estimates=(*estimates, *packages),
        predictions=tuple(predicted.predictions),
        speedups=(*predicted.speedups, *_speedups(packages, estimates)),
    )
    return Found(figures, tuple(dict.fromkeys((*notes, *predicted.notes))))


def _estimates(
    subject: Subject, baselines: Baselines, memory: Memory
) -> tuple[list[EstimateRecord], list[str]]:
    """Estimates of every baseline on every device, and why one is missing."""
    estimates: list[EstimateRecord] = []
    notes: list[str] = []
    with subject.progress.track("Estimate baselines", len(subject.devices)) as advance:
        for device in subject.devices:
            if (note := baselines.note(device)) is not None:
                notes.append(note)
            forms = baselines.of(device)
            for label, source in forms.items():
                try:
                    estimates.append(estimated(source, device, label, memory))
                except (DeviceError, QnnError) as error:
                    notes.append(_missing(label, device, error, prepared=PREPARED in forms))
            advance(1)
    return estimates, notes


def _missing(label: str, device: DeviceProfile, error: Exception, *, prepared: bool) -> str:
    if label == UNMODIFIED and prepared:
        return (
            f"The model as given does not compile for {device.name} at fp16, so that {PREPARED} is "
            f"the baseline: {error}"
        )
    return f"No estimate of {label} on {device.name}: {error}"


def _speedups(
    packages: tuple[EstimateRecord, ...], baselines: list[EstimateRecord]
) -> Iterator[SpeedupRecord]:
    """Ratios of estimates on the same device; the interval is from bound to opposite bound."""
    for package in packages:
        for baseline in baselines:
            if baseline.device != package.device or not package.us:
                continue
            remarks = []
            if package.estimated_on != package.device:
                remarks.append(
                    f"{package.device} has no estimate; both figures are {package.estimated_on}'s"
                )
            if package.missing_ops or baseline.missing_ops:
                remarks.append("some operators have no cost in the estimate")
            if package.batch != baseline.batch:
                remarks.append(f"a sample each, {package.batch} in a call of the package")
            share = package.batch / baseline.batch
            yield SpeedupRecord(
                baseline=baseline.label,
                candidate=package.label,
                value=share * baseline.cycles / package.cycles,
                where=Origin.ESTIMATED,
                device=package.device,
                interval=None,
                remarks=tuple(remarks),
            )


EVIDENCE = Evidence(
    "estimates",
    Reads(
        (Input.PACKAGE, Input.GIVEN, Input.DEVICES, Input.BOUNDARY),
        (Input.ORIGINAL, Input.HOST, Input.OWN_MEASUREMENTS, *ESTIMATE),
    ),
    gather,
    kept=False,  # each estimate is kept by itself
)
