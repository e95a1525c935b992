"""Builds a bundle: boundary, compilation for every device, golden data, manifest."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from snapq.bundle import DEVICES, ENCODINGS, GOLDEN, MODEL, TAIL
from snapq.bundle.application import write_application
from snapq.bundle.manifest import write_manifest
from snapq.bundle.write import list_files, write_helper
from snapq.cluster.current import current, each
from snapq.config import PackageConfig
from snapq.devices.profiles import DeviceProfile
from snapq.errors import ConfigError
from snapq.graph import boundary, io
from snapq.graph.batch import batched, check_same
from snapq.graph.boundary import Applied, Boundary
from snapq.graph.float16.notes import float16_notes
from snapq.graph.float16.run import write_for_float16
from snapq.npu.model import Model, Source
from snapq.progress import Progress
from snapq.quantization.lint.run import lint
from snapq.stages.package import golden, net
from snapq.stages.package.batching import Curve, check_batch, choose, curves
from snapq.stages.package.classical import write_classical
from snapq.stages.package.compile_device import (
    CompiledDevice,
    check_fp16,
    compile_for,
    of_calls,
)
from snapq.stages.package.describe import manifest
from snapq.stages.package.golden import Reloaded
from snapq.stages.package.job import PackageJob
from snapq.storage import atomic_folder, storage_errors

Array = np.ndarray[Any, np.dtype[Any]]
MENDED = "mended"
"""Folder beside the bundle with the model that is in it, where that is not the one given."""


@dataclass(frozen=True)
class Built:
    """A bundle that was written.

    Attributes:
        boundary: the plan with every type and encoding filled in.
        devices: what was compiled, in the manifest's order.
        reloads: what each compiled model gave, in the same order.
        notes: sentences for the reader.
        mended: the Q/DQ or float model that was packaged instead of the one given, where nodes
            had to be written otherwise for the NPU.
        batches: estimates by how many samples a call takes, device by device; none where a call
            takes one and nothing else was asked.
    """

    boundary: Boundary
    devices: tuple[CompiledDevice, ...]
    reloads: tuple[Reloaded, ...]
    notes: tuple[str, ...]
    mended: Path | None
    batches: tuple[Curve, ...] = ()


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
        batch = _batch(job, config, devices, progress)
        job = replace(job, plan=replace(job.plan, batch=batch.size))
        made = _rightly_made(job, config, devices, folder, progress)
        scratch = out.parent / MENDED
        mending = net.mend_faults(job, made.compiled, made.reloads, scratch, progress)
        if mending.changed is not None:
            _empty(folder)
            made = _rightly_made(mending.changed, config, devices, folder, progress)
            job = mending.changed
        reloads = tuple(map(mending.judged, made.reloads))
        _drop_golden(folder, {reloaded.golden for reloaded in reloads})
        extra = _write_extra(config, devices, folder)
        applied, compiled = made.applied, made.compiled
        described = manifest(job, applied, compiled, reloads, extra, folder)
        write_application(folder, described, job.application)
        files = list_files(folder)
        write_manifest(folder, described.model_copy(update={"files": files}))
    return Built(
        applied.boundary,
        tuple(_moved(entry, out) for entry in compiled),
        reloads,
        tuple(
            dict.fromkeys(
                (
                    *(text for one in batch.curves for text in one.told(batch.size)),
                    *made.notes,
                    *mending.notes,
                    *(note for reloaded in reloads for note in reloaded.notes),
                )
            )
        ),
        None if mending.changed is None else mending.changed.model,
        batch.curves,
    )


@dataclass(frozen=True)
class _Batch:
    """How many samples a call takes, and the estimates that say what that gains."""

    size: int
    curves: tuple[Curve, ...] = ()


def _batch(
    job: PackageJob, config: PackageConfig, devices: Sequence[DeviceProfile], progress: Progress
) -> _Batch:
    """Raises `ConfigError` or `ModelError` where there are no batches of the model."""
    if config.batch == 1:
        return _Batch(1)
    found = batch_curves(job, config, devices, progress)
    return _Batch(choose(found) if config.batch == "auto" else config.batch, found)


def batch_curves(
    job: PackageJob, config: PackageConfig, devices: Sequence[DeviceProfile], progress: Progress
) -> tuple[Curve, ...]:
    """Estimates of the package by how many samples a call takes.

    Raises:
        ConfigError, ModelError: samples cannot be gathered.
    """
    applied = applied_model(job)
    check_batch(config, applied, alone=job.alone)
    if config.batch != "auto":
        batched(applied.model, config.batch)  # which says why where there is none
    return curves(applied.model, devices, config, job.memory, progress)


@dataclass(frozen=True)
class _Made:
    """The parts of a bundle, once compiled."""

    applied: Applied
    compiled: tuple[CompiledDevice, ...]
    reloads: tuple[Reloaded, ...]
    notes: tuple[str, ...]


def _rightly_made(
    job: PackageJob,
    config: PackageConfig,
    devices: Sequence[DeviceProfile],
    folder: Path,
    progress: Progress,
) -> _Made:
    """The model in the fastest form that is right on the simulator, in an empty folder."""
    made = _made(job, config, devices, folder, progress)
    wrong = {one.device: one.worse for one in made.reloads if one.worse is not None}
    if not wrong:
        return made
    _empty(folder)
    made = _made(job, config, devices, folder, progress, as_it_is=wrong.keys())
    told = (f"{name}: compiled as it is, as rewritten {why}." for name, why in wrong.items())
    return replace(made, notes=(*made.notes, *told))


def _made(
    job: PackageJob,
    config: PackageConfig,
    devices: Sequence[DeviceProfile],
    folder: Path,
    progress: Progress,
    as_it_is: Collection[str] = (),
) -> _Made:
    """Writes, compiles and runs the model in an empty folder, for some devices without rewrites."""
    applied, alone = _write_model(job, config.golden_samples, folder)
    lints = _lint(job, applied, devices)
    compiled = _compile(job, config, devices, folder, progress, as_it_is)
    samples, notes = _golden_samples(job, config, applied.boundary)
    batch = applied.boundary.batch
    if batch > 1:
        check_same(alone, applied.model, batch, samples)
    feeds = golden.write_feeds(folder, boundary.calls(samples, batch))
    with progress.track("Compare on the simulator", len(compiled)) as advance:
        reloads = []
        expected = net.expected(job, applied, folder / MODEL, feeds)
        if batch > 1:
            expected = replace(expected, alone=golden.Alone(alone, samples, batch))
        for reloaded in golden.reload(expected, compiled, folder, allow_cpu=job.npu_share < 1):
            reloads.append(reloaded)
            advance(1)
    told = (*applied.boundary.notes, *lints, *notes, *(n for t in compiled for n in t.notes))
    return _Made(applied, compiled, tuple(reloads), told)


def _drop_golden(folder: Path, kept: Collection[str | None]) -> None:
    """Takes out golden outputs that no device has. Raises `StorageError`."""
    with storage_errors(folder):
        for path in (folder / GOLDEN).glob("v*"):
            if path.relative_to(folder).as_posix() not in kept:
                shutil.rmtree(path)


def _empty(folder: Path) -> None:
    """Takes out what was written. Raises `StorageError`."""
    with storage_errors(folder):
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def applied_model(job: PackageJob) -> Applied:
    """The model of one sample with the package's boundary."""
    model = io.load(job.model)
    if job.precision == "float" and not job.folded:
        model = boundary.fold_normalization(model, job.plan)
        write_for_float16(model)
    return boundary.apply(model, job.plan)


def _write_model(job: PackageJob, golden_samples: int, folder: Path) -> tuple[Applied, ir.Model]:
    """The portable model with the package's boundary, the encodings and the helper.

    Beside it is the model of one sample, which is the same where a call takes one.
    """
    applied = applied_model(job)
    alone = applied.model
    if job.plan.batch > 1:
        applied = replace(applied, model=batched(alone, job.plan.batch))
    io.save(applied.model, folder / MODEL)
    write_helper(folder)
    if job.tail is not None:
        io.copy(job.tail.path, folder / TAIL)
    if job.classical is not None:
        write_classical(job.classical, job.samples, golden_samples, folder)
    if job.encodings is not None:
        with storage_errors(folder / ENCODINGS):
            shutil.copyfile(job.encodings, folder / ENCODINGS)
    return applied, alone


def _lint(job: PackageJob, applied: Applied, devices: Sequence[DeviceProfile]) -> tuple[str, ...]:
    """What breaks the provider's rules for node units; what a float model has few digits of."""
    if job.precision == "float":
        return tuple(one.text for one in float16_notes(applied.model.graph))
    found = lint(applied.model, min(device.architecture for device in devices))
    return tuple(f"{item.node}: {item.message} {item.hint}" for item in found)


def _compile(
    job: PackageJob,
    config: PackageConfig,
    devices: Sequence[DeviceProfile],
    folder: Path,
    progress: Progress,
    as_it_is: Collection[str],
) -> tuple[CompiledDevice, ...]:
    done: dict[str, CompiledDevice] = {}
    source = Source(folder / MODEL)

    def compiled(device: DeviceProfile) -> CompiledDevice:
        found = compile_for(
            # What is made of the model on the way is made by one thread alone.
            Source(folder / MODEL) if current() else source,
            device,
            folder / DEVICES / device.name,
            config,
            label=job.label,
            npu_share=job.npu_share,
            memory=job.memory,
            tries=0 if device.name in as_it_is else config.judge.tries,
        )
        return of_calls(found, job.plan.batch)

    with progress.track("Compile", len(devices)) as advance:
        # Those with an estimate first: theirs serves the others.
        for found in each(compiled, sorted(devices, key=lambda device: not device.has_estimate)):
            done[found.device.name] = found
            advance(1)
    return tuple(done[device.name] for device in devices)


def _golden_samples(
    job: PackageJob, config: PackageConfig, applied: Boundary
) -> tuple[tuple[dict[str, Array], ...], tuple[str, ...]]:
    """What the package takes of single samples."""
    count = config.golden_samples
    if job.samples is None:
        feeds = tuple(golden.random_feeds(applied, count))
        return feeds, (f"There are no samples; the golden data are {count} random inputs.",)
    return tuple(applied.package_feeds(sample) for sample in job.samples[:count]), ()


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
