"""The manifest of a bundle that is being built."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from snapq.bundle import ENCODINGS, GOLDEN_ROWS, HELPER, MODEL, TAIL
from snapq.bundle.host_schema import BundleAnswers
from snapq.bundle.manifest import input_entry, output_entry
from snapq.bundle.schema import (
    SCHEMA,
    WITH_BATCH,
    WITH_HOST,
    WITH_TAIL,
    BundleBinary,
    BundleDevice,
    BundleProvenance,
    BundleTail,
    BundleTailInput,
    Manifest,
)
from snapq.bundle.write import list_files
from snapq.devices.profiles import DeviceProfile
from snapq.errors import ModelError, QnnError
from snapq.evaluation.tail import TailFile
from snapq.graph import io
from snapq.graph.boundary import Applied, Boundary
from snapq.graph.shapes import static_shape
from snapq.npu.binaries import inspect_binary
from snapq.records import EstimateRecord
from snapq.stages.artifact import library_versions
from snapq.stages.package.classical import golden_answers, host_entry
from snapq.stages.package.compile_device import CompiledDevice
from snapq.stages.package.golden import Reloaded
from snapq.stages.package.job import PackageJob
from snapq.storage import sha256_file
from snapq.version import __version__


def manifest(
    job: PackageJob,
    applied: Applied,
    compiled: Sequence[CompiledDevice],
    reloads: Sequence[Reloaded],
    extra: Mapping[str, str],
    folder: Path,
) -> Manifest:
    """The manifest of a bundle whose files are in `folder`.

    Raises:
        ModelError: a name of the model cannot stand in it.
        QnnError: a binary is for another device, or cannot be read.
    """
    parts, boundary = job.classical, applied.boundary
    answers: dict[str | None, tuple[BundleAnswers, ...]] = {}
    if parts is not None:
        places = {reloaded.golden for reloaded in reloads}
        answers = {place: golden_answers(parts, boundary, folder, place) for place in places}
    try:
        return Manifest(
            precision=job.label,
            batch=boundary.batch,
            inputs=tuple(input_entry(item, boundary.batch) for item in boundary.inputs),
            outputs=tuple(output_entry(item, boundary.batch) for item in boundary.outputs),
            model=MODEL,
            encodings=None if job.encodings is None else ENCODINGS,
            helper=HELPER,
            devices=tuple(
                _entry(entry, reloaded, folder, answers.get(reloaded.golden, ()))
                for entry, reloaded in zip(compiled, reloads, strict=True)
            ),
            golden_samples=len(list((folder / "golden" / "inputs").glob("*.npz"))),
            random_inputs=job.random_inputs,
            extra=dict(extra),
            schema_version=_version(job),
            tail=None if job.tail is None else _tail(job.tail, applied.boundary),
            host=None
            if job.classical is None
            else host_entry(job.classical, (folder / GOLDEN_ROWS).is_dir()),
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


def _version(
    job: PackageJob,
) -> Literal["snapq.bundle/1", "snapq.bundle/2", "snapq.bundle/3", "snapq.bundle/5"]:
    if job.classical is not None:
        return WITH_HOST
    if job.plan.batch > 1:
        return WITH_BATCH
    return SCHEMA if job.tail is None else WITH_TAIL


def _tail(file: TailFile, boundary: Boundary) -> BundleTail:
    given = {item.name for item in boundary.outputs}
    return BundleTail(
        model=TAIL,
        inputs=tuple(
            BundleTailInput(
                name=str(value.name),
                dtype=str(value.dtype.numpy()) if value.dtype else "float32",
                shape=static_shape(value),
                source="output" if value.name in given else "input",
            )
            for value in io.load(file.path).graph.inputs
        ),
        outputs=file.outputs,
    )


def _entry(
    entry: CompiledDevice, reloaded: Reloaded, folder: Path, answers: tuple[BundleAnswers, ...]
) -> BundleDevice:
    device, made = entry.device, entry.compilation
    compiled = made.files
    return BundleDevice(
        device=device.name,
        marketing=device.marketing,
        soc_id=device.soc_id,
        architecture=device.architecture,
        vtcm_mb=made.options.vtcm_mb or device.vtcm_mb,
        model=compiled.model.relative_to(folder).as_posix(),
        files=tuple(
            path.relative_to(folder).as_posix() for path in (compiled.model, *compiled.binaries)
        ),
        binaries=tuple(_binary(path, device, folder) for path in compiled.binaries),
        options=compiled.options,
        estimate=_estimate(made.estimate),
        golden=reloaded.golden,
        qairt=compiled.qairt,
        fault=_plain(reloaded.verdict.fault),
        answers=answers,
    )


def _estimate(figure: EstimateRecord | None) -> dict[str, Any] | None:
    """A figure in the manifest; of a call of one sample as it was before there were others."""
    if figure is None:
        return None
    return figure.model_dump(mode="json", exclude={"batch"} if figure.batch == 1 else None)


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


def _plain(text: str | None) -> str | None:
    """Text that a manifest can hold."""
    if text is None:
        return None
    return "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cf", "Cs"))[:4000]
