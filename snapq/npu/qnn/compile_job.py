"""One compilation: in a process of its own, on a staged model, checked by loading the result.

The compiler numbers things by a counter of the process and names the graph by the model's path;
with neither the same twice, the same model would not compile to the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from snapq.devices.profiles import DeviceProfile
from snapq.errors import QnnError
from snapq.npu.qnn import model_files, sessions, tasks, workers
from snapq.npu.qnn.estimate import PROFILE_FILE, PROFILING
from snapq.npu.qnn.model_files import ModelFiles
from snapq.npu.qnn.options import CompileOptions
from snapq.storage import storage_errors

CONTEXT_NAME = "model_ctx.onnx"
"""The compiled model; its binary is called `model_ctx_qnn.bin`."""

OUTPUT = "out"
"""Folder of the compiled model inside of the worker's."""


@dataclass(frozen=True)
class Job:
    """One compilation."""

    files: ModelFiles
    options: CompileOptions
    request: sessions.Request
    folder: Path
    """Where the result goes."""


@dataclass(frozen=True)
class Outcome:
    """A compilation that went well."""

    report: sessions.Report
    seconds: float
    profile: str | None
    """What the compiler's estimate says, as CSV."""


def request_for(
    files: ModelFiles,
    device: DeviceProfile,
    options: CompileOptions,
    *,
    embed: bool,
    allow_cpu: bool,
) -> sessions.Request:
    """The session that compiles a staged model, with the estimate where the device has one.

    Raises:
        InstallError, ConfigError, DeviceError: as `sessions.request`.
    """
    return sessions.request(
        model_files.STAGED_NAME,
        device,
        options,
        shown=files.path.name,
        allow_cpu=allow_cpu,
        provider=PROFILING if device.has_estimate else {},
        entries=context_entries(embed=embed),
    )


def context_entries(*, embed: bool) -> dict[str, str]:
    """Session configuration that makes the provider write what it compiles."""
    return {
        "ep.context_enable": "1",
        "ep.context_embed_mode": "1" if embed else "0",
        "ep.context_file_path": f"{OUTPUT}/{CONTEXT_NAME}",
    }


def run(pool: workers.WorkerPool, job: Job) -> Outcome:
    """Compiles in a worker beside the result's folder, so that moving it is a rename.

    Raises:
        QnnError: the compiler failed, or nothing of the model runs on the NPU.
        StorageError: the folder cannot be written.
    """
    with pool.start(job.folder.parent) as worker:
        model_files.stage(job.files, worker.scratch)
        with storage_errors(worker.scratch):
            (worker.scratch / OUTPUT).mkdir()
        report, seconds = worker.call(tasks.read_back, job.request)
        if report.npu_partitions == 0:
            raise sessions.off_npu(report, job.files.path.name)
        profile = worker.scratch / PROFILE_FILE
        text = profile.read_text("utf-8", "replace") if profile.is_file() else None
        written = worker.scratch / OUTPUT / CONTEXT_NAME
        if not written.is_file():
            raise QnnError(
                "The compiler wrote nothing and reported no error.",
                where=job.files.path.name,
                hint="`snapq doctor` checks the installation.",
            )
        model_files.lower_ir_version(written, job.files.ir_version)
        with storage_errors(job.folder):
            (worker.scratch / OUTPUT).replace(job.folder)
    return Outcome(report, seconds, text)


def check_reload(job: Job, device: DeviceProfile, *, allow_cpu: bool) -> None:
    """Loads what was compiled in a fresh process and compares its inputs and outputs by name.

    Raises:
        QnnError: it does not load, or lacks an input or output of the model.
    """
    request = sessions.request(
        job.folder.absolute() / CONTEXT_NAME,
        device,
        job.options,
        shown=f"what {job.files.path.name} was compiled to",
        allow_cpu=allow_cpu,
    )
    found = workers.call(tasks.boundary, request)
    if found != (job.files.inputs, job.files.outputs):
        raise QnnError(
            f"The compiled model has the inputs {', '.join(found[0])} and outputs "
            f"{', '.join(found[1])}; the model has {', '.join(job.files.inputs)} and "
            f"{', '.join(job.files.outputs)}.",
            where=job.files.path.name,
            hint="Remove inputs and outputs that nothing uses, and compile again.",
        )
