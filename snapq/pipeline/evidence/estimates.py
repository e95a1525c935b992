"""Qualcomm's estimate of the package against fp16: unmodified, and with the same boundary."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from snapq.devices.profiles import DeviceProfile, nearest_with_estimate
from snapq.errors import SnapqError
from snapq.pipeline.cache import Cache
from snapq.pipeline.evidence.subject import Subject
from snapq.progress import Progress
from snapq.records import EstimateRecord, SpeedupRecord, Where

UNMODIFIED = "fp16 unmodified"
SAME_BOUNDARY = "fp16 same boundary"


@dataclass(frozen=True)
class Estimated:
    """The estimates of a run, the speed-ups that they give, and why one is missing."""

    estimates: tuple[EstimateRecord, ...] = ()
    speedups: tuple[SpeedupRecord, ...] = ()
    notes: tuple[str, ...] = ()


def prove(subject: Subject, cache: Cache, progress: Progress) -> Estimated:
    """Estimates the two fp16 baselines and sets the package's estimate against them.

    The unmodified baseline is the model as given. The baseline with the same boundary is the
    prepared float model that takes the package's own input, so that the gain of quantization shows
    without that of the boundary.
    """
    if not subject.estimates:
        return Estimated()
    estimates: list[EstimateRecord] = []
    notes: list[str] = []
    with tempfile.TemporaryDirectory(prefix="snapq-") as folder:
        baselines = tuple(_baselines(subject, Path(folder)))
        jobs = [(d, label, path) for d in subject.setting.devices for label, path in baselines]
        with progress.track("Estimate fp16 baselines", len(jobs)) as advance:
            for device, label, path in jobs:
                try:
                    estimates.append(_estimate(path, device, label, cache))
                except SnapqError as error:
                    notes.append(f"No estimate of {label} on {device.name}: {error}")
                advance(1)
    speedups = tuple(_speedups(subject.estimates, estimates))
    return Estimated((*estimates, *subject.estimates), speedups, tuple(dict.fromkeys(notes)))


def _baselines(subject: Subject, folder: Path) -> Iterator[tuple[str, Path]]:
    """The fp16 baselines as label and model file."""
    from snapq.graph import boundary, io

    # A model that came quantized may hold what the NPU cannot run: its float form stands for it.
    yield UNMODIFIED, (subject.prepared if subject.setting.quantized else subject.source).model
    plan = subject.setting.boundary
    if plan.changes_float_model:
        path = folder / "same_boundary.onnx"
        model = boundary.fold_normalization(io.load(subject.prepared.model), plan)
        io.save(boundary.apply(model, plan).model, path)
        yield SAME_BOUNDARY, path


def _estimate(model: Path, device: DeviceProfile, label: str, cache: Cache) -> EstimateRecord:
    """Estimates one fp16 model, on the device itself or on the nearest that has an estimate."""
    from snapq.npu.qnn.estimate import estimate
    from snapq.npu.qnn.options import CompileOptions
    from snapq.storage import sha256_file

    asked = nearest_with_estimate(device)
    key = Cache.key("estimate", model=sha256_file(model), device=asked.soc_id, label=label)
    kept = cache.value(key)
    if kept is None:
        found = estimate(model, asked, CompileOptions(fp16=True), label=label)
        kept = found.to_json()
        cache.keep_value(key, kept)
    return EstimateRecord.model_validate({**kept, "device": device.name})


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
                where=Where.ESTIMATED,
                device=package.device,
                interval=None,
                remarks=tuple(remarks),
            )
