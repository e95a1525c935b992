"""The package stage: compile for every device, prove each result, write the bundle."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snapq.bundle import DEVICES, ENCODINGS
from snapq.config import PackageConfig
from snapq.errors import ConfigError, StorageError
from snapq.graph import io
from snapq.graph.boundary import Boundary
from snapq.graph.shapes import input_specs
from snapq.npu.memory import Memory
from snapq.npu.model import CONTEXT_NAME
from snapq.quantization.agreement.verdict import records
from snapq.records import (
    AgreementRecord,
    BundleDeviceRecord,
    EstimateRecord,
    FileRecord,
    PlacementRecord,
)
from snapq.stages.base import Context, Input, Outcome, Reads
from snapq.stages.package.application import application_facts
from snapq.stages.package.batching import choose
from snapq.stages.package.build import Built, batch_curves, build
from snapq.stages.package.classical import made_up_samples
from snapq.stages.package.compile_device import CompiledDevice
from snapq.stages.package.golden import Reloaded
from snapq.stages.package.job import ClassicalParts, PackageJob
from snapq.storage import compressed_size, sha256_file, storage_errors, write_json

BUNDLE = "bundle"
RECORD = "package.json"


@dataclass(frozen=True)
class Packaged:
    """What the package stage recorded beside the bundle.

    Attributes:
        boundary: what the package takes and gives, with every type and encoding.
        devices: what was compiled; paths of files are relative to the bundle's parent.
        estimates: one a device where there is one.
        placements: one a device.
        agreement: the NPU against the CPU, one a group of channels of an output and a device.
    """

    boundary: Boundary
    devices: tuple[BundleDeviceRecord, ...]
    estimates: tuple[EstimateRecord, ...]
    placements: tuple[PlacementRecord, ...]
    agreement: tuple[AgreementRecord, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> Packaged:
        """Reads the record of a finished package stage. Raises `StorageError`."""
        path = folder / RECORD
        with storage_errors(path):
            text = path.read_text(encoding="utf-8")
        try:
            value = json.loads(text)
            return cls(
                Boundary.from_json(value["boundary"]),
                tuple(BundleDeviceRecord.model_validate(item) for item in value["devices"]),
                tuple(EstimateRecord.model_validate(item) for item in value["estimates"]),
                tuple(PlacementRecord.model_validate(item) for item in value["placements"]),
                tuple(AgreementRecord.model_validate(item) for item in value["agreement"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise StorageError("This is not a package record.", where=str(path)) from error

    def write(self, folder: Path) -> None:
        """Writes the record. Raises `StorageError`."""
        value: dict[str, Any] = {"boundary": self.boundary.to_json()}
        for name in ("devices", "estimates", "placements", "agreement"):
            value[name] = [record.model_dump(mode="json") for record in getattr(self, name)]
        write_json(folder / RECORD, value)

    def compiled_model(self, bundle: Path, device: str) -> Path:
        """The compiled model of a device in a bundle. Raises `StorageError`."""
        if all(entry.device != device for entry in self.devices):
            raise StorageError(f"The bundle is not compiled for {device}.", where=str(bundle))
        return bundle / DEVICES / device / CONTEXT_NAME


_MADE_UP = "There are no samples; the golden rows are random numbers."


def reads(options: PackageConfig) -> Reads:
    """The model with its encodings, the devices and the boundary, and what the bundle carries."""
    return Reads(
        (Input.PREVIOUS, Input.DEVICES, Input.BOUNDARY, Input.NPU_SHARE),
        (
            Input.GOLDEN,
            Input.RANDOM,
            Input.FLOAT,
            Input.TAIL,
            Input.HOST,
            Input.WHOLE,
            Input.STATE,
        ),
    )


def run(options: PackageConfig, context: Context, folder: Path) -> Outcome:
    """Writes `bundle/` and the record of it into `folder`.

    Raises:
        ConfigError: the boundary is not known, or the labels do not fit the model.
        DataError: the labels cannot be read.
        DeviceError, QnnError, ModelError, InstallError, StorageError: as `bundle.build.build`.
    """
    job, made_up = _job(options, context)
    built = build(job, options, folder / BUNDLE, context.progress)
    packaged = _record(built, job.label, folder)
    packaged.write(folder)
    return Outcome(
        precision=job.label,
        notes=(*built.notes, *([_MADE_UP] if made_up else [])),
        details={
            "boundary": built.boundary.describe(),
            **(
                {
                    "batch": built.boundary.batch,
                    "batches": {one.device: one.to_json() for one in built.batches},
                }
                if built.batches
                else {}
            ),
            "candidates": {entry.device: entry.candidates for entry in packaged.devices},
            "judged": {
                entry.device.name: found.details()
                for entry in built.devices
                if (found := entry.compilation.judged) is not None
            },
            "reload": {entry.device: entry.reload for entry in packaged.devices},
            "npu_nodes": {place.device: place.npu for place in packaged.placements},
            "cpu_nodes": {place.device: place.cpu for place in packaged.placements},
        },
        failures=tuple(text for entry in built.devices for text in entry.failures),
    )


def fastest_batch(options: PackageConfig, context: Context) -> int:
    """How many samples a call takes with `batch: auto`, for the devices of the context.

    Raises:
        ConfigError, ModelError: samples cannot be gathered.
        QnnError, InstallError, StorageError: Qualcomm's compiler did not answer.
    """
    job, _ = _job(options, context)
    return choose(batch_curves(job, options, job.devices[:1], context.progress))


def _job(options: PackageConfig, context: Context) -> tuple[PackageJob, bool]:
    """What the bundle is to be made of, and whether rows were made up. Raises as `run`."""
    if context.boundary is None:
        raise ConfigError("The package stage needs the boundary.", where="io")
    source = context.previous
    encodings = source.folder / ENCODINGS
    classical, samples = _classical(context), context.golden
    made_up = classical is not None and samples is None
    if classical is not None and samples is None:
        samples = made_up_samples(classical, options.golden_samples)
    job = PackageJob(
        model=source.model,
        precision=source.precision,
        encodings=encodings if encodings.is_file() else None,
        devices=context.devices,
        plan=context.boundary,
        samples=samples,
        float_model=None if context.float_model is None else context.float_model.model,
        npu_share=context.npu_share,
        random_inputs=context.random_inputs or made_up,
        memory=Memory(context.memo),
        tail=context.tail,
        classical=classical,
        application=application_facts(options.labels, source.model, context.state),
    )
    return job, made_up


def _classical(context: Context) -> ClassicalParts | None:
    """What belongs into the bundle of a classical model; None of a network."""
    if context.host is None or context.whole is None:
        return None
    inputs = input_specs(io.load(context.whole.model))
    return ClassicalParts(context.host.host, inputs, context.whole.model, context.host.folder)


def _record(built: Built, label: str, folder: Path) -> Packaged:
    return Packaged(
        built.boundary,
        tuple(
            _device_record(entry, reloaded, folder)
            for entry, reloaded in zip(built.devices, built.reloads, strict=True)
        ),
        tuple(found for one in built.devices if (found := one.compilation.estimate) is not None),
        tuple(one.compilation.files.placement.record(label, one.device) for one in built.devices),
        tuple(
            record
            for one in built.reloads
            for record in records(label, one.device, one.findings, one.verdict)
        ),
    )


def _device_record(entry: CompiledDevice, reloaded: Reloaded, folder: Path) -> BundleDeviceRecord:
    device, compiled = entry.device, entry.compilation.files
    return BundleDeviceRecord(
        device=device.name,
        soc_id=device.soc_id,
        architecture=device.architecture,
        vtcm_mb=entry.compilation.options.vtcm_mb or device.vtcm_mb,
        files=tuple(
            FileRecord(
                path=path.relative_to(folder).as_posix(),
                sha256=sha256_file(path),
                bytes=path.stat().st_size,
                bytes_compressed=compressed_size(path),
            )
            for path in (compiled.model, *compiled.binaries)
        ),
        options=compiled.options,
        candidates=entry.candidates,
        reload=reloaded.sentence,
        qairt=compiled.qairt,
    )
