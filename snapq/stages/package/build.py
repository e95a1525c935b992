"""Builds a bundle: boundary, compilation for every device, golden data, manifest."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from snapq.bundle import DEVICES, ENCODINGS, HELPER, MODEL
from snapq.bundle.manifest import input_entry, output_entry, write_manifest
from snapq.bundle.schema import BundleBinary, BundleDevice, BundleProvenance, Manifest
from snapq.bundle.write import list_files, write_helper
from snapq.config import PackageConfig
from snapq.devices.profiles import DeviceProfile
from snapq.errors import ConfigError, ModelError, QnnError
from snapq.graph import boundary, io
from snapq.graph.boundary import Applied, Boundary
from snapq.npu.binaries import inspect_binary
from snapq.npu.model import Memory, Model, Source
from snapq.progress import Progress
from snapq.quantization.lint.run import lint
from snapq.stages.artifact import library_versions
from snapq.stages.package import golden
from snapq.stages.package.compile_device import CompiledDevice, check_fp16, compile_for
from snapq.stages.package.golden import Reloaded
from snapq.storage import atomic_folder, sha256_file, storage_errors
from snapq.version import __version__

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class PackageJob:
    """What a bundle is to be made of.

    Attributes:
        model: the Q/DQ model with float inputs and outputs, or the prepared float model.
        precision: `float`, or weights and activations such as `w8a8`.
        encodings: file with the encodings of all tensors; None for a float model.
        devices: what to compile for; the same device twice counts once.
        plan: the boundary.
        samples: samples for the golden data; None where there are none.
        npu_share: lowest share of nodes on the NPU.
        random_inputs: whether samples or calibration are random numbers.
        memory: estimates that are known.
    """

    model: Path
    precision: str
    encodings: Path | None
    devices: Sequence[DeviceProfile]
    plan: Boundary
    samples: Iterable[boundary.Sample] | None
    npu_share: float
    random_inputs: bool
    memory: Memory = field(default_factory=Memory)

    @property
    def label(self) -> str:
        """Precision in which it runs."""
        return "fp16" if self.precision == "float" else self.precision


@dataclass(frozen=True)
class Built:
    """A bundle that was written.

    Attributes:
        boundary: the plan with every type and encoding filled in.
        devices: what was compiled, in the manifest's order.
        reloads: what each compiled model gave, in the same order.
        notes: sentences for the reader.
    """

    boundary: Boundary
    devices: tuple[CompiledDevice, ...]
    reloads: tuple[Reloaded, ...]
    notes: tuple[str, ...]


def build(job: PackageJob, config: PackageConfig, out: Path, progress: Progress) -> Built:
    """Writes the bundle `out`, as a whole or not at all.

    Raises:
        ModelError: the model cannot be read, or has names that a manifest cannot hold.
        DeviceError: a float model is to run on a device without 16-bit floating point.
        QnnError: a model does not compile or load, or too few nodes run on the NPU.
        ConfigError, InstallError, StorageError: as `compile_best`.
    """
    devices = tuple({device.name: device for device in job.devices}.values())
    if job.precision == "float":
        check_fp16(devices)
    if config.multi_soc and len(devices) < 2:
        raise ConfigError(
            "One container for several SoCs needs at least two devices.",
            where="stages.package.multi_soc",
            hint="Add a device, or leave multi_soc out.",
        )
    with atomic_folder(out) as folder:
        applied = _write_model(job, folder)
        lints = _lint(job, applied, devices)
        compiled = _compile(job, config, devices, folder, progress)
        feeds, notes = _golden_feeds(job, config, applied.boundary, folder)
        with progress.track("Compare on the simulator", len(compiled)) as advance:
            reloads = []
            for reloaded in golden.reload(
                folder / MODEL, compiled, feeds, folder, allow_cpu=job.npu_share < 1
            ):
                reloads.append(reloaded)
                advance(1)
        extra = _write_extra(config, devices, folder)
        write_manifest(folder, _manifest(job, applied, compiled, reloads, extra, folder))
    all_notes = (*applied.boundary.notes, *lints, *notes, *(n for t in compiled for n in t.notes))
    return Built(
        applied.boundary,
        tuple(_moved(entry, out) for entry in compiled),
        tuple(reloads),
        tuple(dict.fromkeys((*all_notes, *(n for r in reloads for n in r.notes)))),
    )


def _write_model(job: PackageJob, folder: Path) -> Applied:
    """The portable model with the package's boundary, the encodings and the helper."""
    model = io.load(job.model)
    if job.precision == "float":
        model = boundary.fold_normalization(model, job.plan)
    applied = boundary.apply(model, job.plan)
    io.save(applied.model, folder / MODEL)
    write_helper(folder)
    if job.encodings is not None:
        with storage_errors(folder / ENCODINGS):
            shutil.copyfile(job.encodings, folder / ENCODINGS)
    return applied


def _lint(job: PackageJob, applied: Applied, devices: Sequence[DeviceProfile]) -> tuple[str, ...]:
    """What breaks the provider's rules for node units; a float model has none to break."""
    if job.precision == "float":
        return ()
    found = lint(applied.model, min(device.architecture for device in devices))
    return tuple(f"{item.node}: {item.message} {item.hint}" for item in found)


def _compile(
    job: PackageJob,
    config: PackageConfig,
    devices: Sequence[DeviceProfile],
    folder: Path,
    progress: Progress,
) -> tuple[CompiledDevice, ...]:
    done: dict[str, CompiledDevice] = {}
    source = Source(folder / MODEL)
    with progress.track("Compile", len(devices)) as advance:
        # Those with an estimate first: theirs serves the others.
        for device in sorted(devices, key=lambda device: not device.has_estimate):
            done[device.name] = compile_for(
                source,
                device,
                folder / DEVICES / device.name,
                config,
                label=job.label,
                npu_share=job.npu_share,
                memory=job.memory,
            )
            advance(1)
    return tuple(done[device.name] for device in devices)


def _golden_feeds(
    job: PackageJob, config: PackageConfig, applied: Boundary, folder: Path
) -> tuple[tuple[dict[str, Array], ...], tuple[str, ...]]:
    count = config.golden_samples
    if job.samples is None:
        feeds = golden.write_feeds(folder, golden.random_feeds(applied, count))
        return feeds, (f"There are no samples; the golden data are {count} random inputs.",)
    chosen = (applied.package_feeds(s) for s, _ in zip(job.samples, range(count), strict=False))
    return golden.write_feeds(folder, chosen), ()


def _write_extra(
    config: PackageConfig, devices: Sequence[DeviceProfile], folder: Path
) -> dict[str, str]:
    """The artefacts that were asked for beside the compiled models, by kind."""
    extra = {}
    model = Model(folder / MODEL, devices[0])
    if config.dlc:
        extra["dlc"] = model.export_dlc(folder / "model.dlc").relative_to(folder).as_posix()
    if config.multi_soc:
        found = model.compile_container(devices, folder / "multi_soc")
        extra["multi_soc"] = found.relative_to(folder).as_posix()
    return extra


def _manifest(
    job: PackageJob,
    applied: Applied,
    compiled: Sequence[CompiledDevice],
    reloads: Sequence[Reloaded],
    extra: Mapping[str, str],
    folder: Path,
) -> Manifest:
    try:
        return Manifest(
            precision=job.label,
            inputs=tuple(input_entry(item) for item in applied.boundary.inputs),
            outputs=tuple(output_entry(item) for item in applied.boundary.outputs),
            model=MODEL,
            encodings=None if job.encodings is None else ENCODINGS,
            helper=HELPER,
            devices=tuple(
                _entry(entry, reloaded, folder)
                for entry, reloaded in zip(compiled, reloads, strict=True)
            ),
            golden_samples=len(list((folder / "golden" / "inputs").glob("*.npz"))),
            random_inputs=job.random_inputs,
            extra=dict(extra),
            provenance=BundleProvenance(
                snapq=__version__,
                versions=library_versions(),
                source_sha256=sha256_file(job.model),
            ),
            files=list_files(folder),
        )
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise ModelError(
            f"The model holds something that a manifest cannot: {problem['msg']}.",
            where=".".join(str(part) for part in problem["loc"]),
            hint="Rename the tensor in the model.",
        ) from error


def _entry(entry: CompiledDevice, reloaded: Reloaded, folder: Path) -> BundleDevice:
    device, made = entry.device, entry.compilation
    compiled = made.files
    return BundleDevice(
        device=device.name,
        marketing=device.marketing,
        soc_id=device.soc_id,
        architecture=device.architecture,
        vtcm_mb=device.vtcm_mb,
        model=compiled.model.relative_to(folder).as_posix(),
        files=tuple(
            path.relative_to(folder).as_posix() for path in (compiled.model, *compiled.binaries)
        ),
        binaries=tuple(_binary(path, device, folder) for path in compiled.binaries),
        options=compiled.options,
        estimate=None if made.estimate is None else made.estimate.model_dump(mode="json"),
        golden=reloaded.golden,
        qairt=compiled.qairt,
    )


def _binary(path: Path, device: DeviceProfile, folder: Path) -> BundleBinary:
    """What a context binary says of itself; it must be for the device.

    Raises:
        QnnError: it is not, or it cannot be read.
    """
    info = inspect_binary(path)
    if info.architecture not in (None, device.architecture):
        raise QnnError(
            f"The compiler made a binary for v{info.architecture}, and {device.name} is "
            f"v{device.architecture}.",
            where=path.name,
            hint="Check soc_id and architecture of the device profile.",
        )
    return BundleBinary(
        path=path.relative_to(folder).as_posix(),
        build=info.build,
        soc_id=info.soc_id,
        architecture=info.architecture,
        vtcm_mb=info.vtcm_mb,
        graphs=tuple(graph.name for graph in info.graphs),
    )


def _moved(entry: CompiledDevice, out: Path) -> CompiledDevice:
    """The same with the paths that its files have now."""
    place = out / DEVICES / entry.device.name
    made = entry.compilation
    files = replace(
        made.files,
        model=place / made.files.model.name,
        binaries=tuple(place / path.name for path in made.files.binaries),
    )
    return replace(entry, compilation=replace(made, files=files))
