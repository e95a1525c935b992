"""Qualcomm's estimate of the package against fp16: as given, prepared, with the same boundary."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx_ir as ir

from snapq.devices.profiles import DeviceProfile, nearest_with_estimate
from snapq.errors import DeviceError, QnnError
from snapq.graph import boundary, io
from snapq.npu.memory import Memory
from snapq.npu.model import Model
from snapq.pipeline.evidence.base import Evidence, Found, Subject
from snapq.quantization.existing_qdq.strip import is_quantized
from snapq.records import EstimateRecord, Figures, Origin, SpeedupRecord
from snapq.stages.base import Input, Reads

UNMODIFIED = "fp16 unmodified"
PREPARED = "fp16 prepared"
SAME_BOUNDARY = "fp16 same boundary"
OWN_BOUNDARY = (UNMODIFIED, PREPARED)
"""The fp16 forms with the given inputs and outputs; a speed-up counts over the faster one."""


def gather(subject: Subject) -> Found:
    """Estimates the fp16 baselines and sets the package's estimate against them.

    The unmodified baseline is the model as given, the prepared one what the prepare stage made of
    it: some exports take 20 times as long as need be, which is no gain of quantization. The faster
    of both comes first. The baseline with the same boundary is the prepared model that takes the
    package's own input, so that the gain of quantization shows without that of the boundary.
    """
    packages = subject.packaged.estimates if subject.packaged is not None else ()
    if not packages:
        return Found()
    estimates: list[EstimateRecord] = []
    notes: list[str] = []
    memory = Memory(subject.memo)
    baselines = tuple(_baselines(subject))
    jobs = [(d, label, model) for d in subject.devices for label, model in baselines]
    with subject.progress.track("Estimate fp16 baselines", len(jobs)) as advance:
        for device, label, model in jobs:
            try:
                estimates.append(_estimate(model, device, label, memory))
            except (DeviceError, QnnError) as error:
                notes.append(f"No estimate of {label} on {device.name}: {error}")
            advance(1)
    places = {device.name: index for index, device in enumerate(subject.devices)}
    estimates.sort(key=lambda one: (places[one.device], one.label not in OWN_BOUNDARY, one.cycles))
    figures = Figures(
        estimates=(*estimates, *packages), speedups=tuple(_speedups(packages, estimates))
    )
    return Found(figures, tuple(dict.fromkeys(notes)))


def _baselines(subject: Subject) -> Iterator[tuple[str, Path | ir.Model]]:
    """The fp16 baselines as label and model."""
    if subject.original is None:  # trees: there is no float form of them that the NPU would run
        return
    prepared, plan = subject.original.model, subject.plan
    # A model that came quantized may hold what the NPU cannot run: its float form stands for it.
    given = subject.source.model
    came_quantized = is_quantized(io.load(given))
    yield UNMODIFIED, prepared if came_quantized else given
    if not came_quantized:
        yield PREPARED, prepared
    if plan.changes_float_model:
        model = boundary.fold_normalization(io.load(prepared), plan)
        yield SAME_BOUNDARY, boundary.apply(model, plan).model


def _estimate(
    model: Path | ir.Model, device: DeviceProfile, label: str, memory: Memory
) -> EstimateRecord:
    """Estimates one fp16 model, on the device itself or on the nearest that has an estimate."""
    # A device without fp16 is compared with what the nearest one takes at fp16.
    asked = nearest_with_estimate(device)
    found = Model(model, asked, memory=memory).estimate(label)
    return found.model_copy(update={"device": device.name})


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
            yield SpeedupRecord(
                baseline=baseline.label,
                candidate=package.label,
                value=baseline.cycles / package.cycles,
                where=Origin.ESTIMATED,
                device=package.device,
                interval=None,
                remarks=tuple(remarks),
            )


EVIDENCE = Evidence(
    "estimates",
    Reads((Input.PACKAGE, Input.GIVEN, Input.DEVICES, Input.BOUNDARY), (Input.ORIGINAL,)),
    gather,
    kept=False,  # each estimate is kept by itself
)
