"""Ahead-of-time compilation: from an ONNX model to what a board loads without compiling.

The result is a folder with `model_ctx.onnx` and `model_ctx_qnn.bin`, the same bytes for the same
model, options and versions.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from snapq.devices.profiles import DeviceProfile
from snapq.errors import ConfigError, SnapqError
from snapq.npu.qnn import compile_job, model_files, placement, workers
from snapq.npu.qnn.compile_job import CONTEXT_NAME as CONTEXT_NAME
from snapq.npu.qnn.compile_job import Job, Outcome
from snapq.npu.qnn.estimate import parse, record, without_profiling
from snapq.npu.qnn.model_files import ModelFiles
from snapq.npu.qnn.options import CompileOptions
from snapq.npu.qnn.placement import Placement
from snapq.records import EstimateRecord
from snapq.storage import TEMPORARY, atomic_folder, storage_errors

EMBED_LIMIT = 1_900_000_000
"""Bytes above which a model cannot be embedded: protobuf messages end at 2 GB."""


@dataclass(frozen=True)
class Compiled:
    """A compiled model on disk."""

    model: Path
    """`model_ctx.onnx`, the file to load."""
    binaries: tuple[Path, ...]
    """Context binaries beside it; none where they are embedded."""
    estimate: EstimateRecord | None
    """The estimate for exactly this binary, where the device has one."""
    placement: Placement
    qairt: str
    """Build of Qualcomm's runtime."""
    seconds: float
    """What compiling took."""
    options: dict[str, str]
    """Effective provider options."""


@dataclass(frozen=True)
class Candidate:
    """One set of options that was tried."""

    options: CompileOptions
    estimate: EstimateRecord | None
    seconds: float | None
    failure: str | None = None
    """Why it did not compile."""
    transient: bool = False
    """Whether it may compile when it is tried again."""
    chosen: bool = False


@dataclass(frozen=True)
class Best:
    """The compilation that was kept, and all that were tried."""

    compiled: Compiled
    candidates: tuple[Candidate, ...]


def compile_best(
    model: Path,
    device: DeviceProfile,
    out: Path,
    candidates: Sequence[CompileOptions],
    *,
    embed: bool = False,
    allow_cpu: bool = False,
    label: str = "",
) -> Best:
    """Compiles with each set of options and keeps the fastest; else as `npu.Model.compile` says.

    Where the device has no estimate there is nothing to choose by: the first set that compiles is
    kept and the others are not tried. Of equal estimates the first stays, and sets that mean the
    same are tried once. Where none compiles, what the first failed with is raised.
    """
    distinct = _distinct(candidates, device)
    files = _read(model, distinct[0], embed=embed)
    with storage_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        trials = tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=out.parent)
    with trials:
        jobs = [
            Job(
                files,
                options,
                compile_job.request_for(files, device, options, embed=embed, allow_cpu=allow_cpu),
                Path(trials.name, str(index)),
            )
            for index, options in enumerate(distinct)
        ]
        outcomes = _run(jobs, choose=device.has_estimate)
        tried = [_candidate(job, result, device, label) for job, result in outcomes]
        compiled = [index for index, one in enumerate(tried) if one.failure is None]
        # Where there are no estimates, only one has compiled.
        best = min(compiled, key=lambda index: price(tried[index].estimate))
        job, outcome = outcomes[best]
        assert isinstance(outcome, Outcome)
        if embed:
            _check_one_part(outcome.report.npu_partitions)
        compile_job.check_reload(job, device, allow_cpu=allow_cpu)
        qairt = model_files.read(job.folder / CONTEXT_NAME).qairt or ""
        with atomic_folder(out) as folder:
            for path in sorted(job.folder.iterdir()):
                path.replace(folder / path.name)
    tried[best] = replace(tried[best], chosen=True)
    kept = Compiled(
        model=out / CONTEXT_NAME,
        binaries=tuple(sorted(out.glob("*.bin"))),
        estimate=tried[best].estimate,
        placement=placement.from_report(files, outcome.report),
        qairt=qairt,
        seconds=outcome.seconds,
        options=without_profiling(job.request.provider),
    )
    return Best(kept, tuple(tried))


def price(figure: EstimateRecord | None) -> tuple[int, int]:
    """Orders candidates: a figure that lacks costs of operators is behind those that lack fewer."""
    return (0, 0) if figure is None else (figure.missing_ops, figure.cycles)


def _distinct(
    candidates: Sequence[CompileOptions], device: DeviceProfile
) -> tuple[CompileOptions, ...]:
    """The sets of options without those that mean the same to the provider as an earlier one."""
    if not candidates:
        raise ConfigError("No compile options were given.", hint="Give at least one set.")
    found: dict[tuple[tuple[str, str], ...], CompileOptions] = {}
    for options in candidates:
        found.setdefault(tuple(options.provider_options(device).items()), options)
    return tuple(found.values())


def _read(model: Path, options: CompileOptions, *, embed: bool) -> ModelFiles:
    files = model_files.read(model)
    if files.compiled:
        raise ConfigError(
            "The model is compiled already.", where=str(model), hint="Give the model it came from."
        )
    model_files.check_compilable(files, fp16=options.fp16)
    if embed and files.bytes > EMBED_LIMIT:
        raise ConfigError(
            f"With {files.bytes / 1e9:.1f} GB the model is too large to be embedded.",
            where="embed",
            hint="Leave embed out: the binary then stays a file of its own.",
        )
    return files


def _run(jobs: Sequence[Job], *, choose: bool) -> list[tuple[Job, Outcome | SnapqError]]:
    """Compiles all jobs, or until the first succeeds where there is nothing to choose by.

    Raises:
        SnapqError: what the first job failed with, where none succeeds.
    """
    outcomes: list[tuple[Job, Outcome | SnapqError]] = []
    batches = [jobs] if choose else [[job] for job in jobs]
    for batch in batches:
        outcomes += zip(batch, workers.gather(compile_job.run, batch), strict=True)
        if any(isinstance(result, Outcome) for _, result in outcomes):
            return outcomes
    first = outcomes[0][1]
    assert isinstance(first, SnapqError)
    raise first


def _candidate(
    job: Job, result: Outcome | SnapqError, device: DeviceProfile, label: str
) -> Candidate:
    if isinstance(result, SnapqError):
        return Candidate(job.options, None, None, result.what, result.transient)
    estimate = None
    if result.profile is not None:
        figures = parse(result.profile, job.files.path.name)
        estimate = record(figures, device, device, job.request, label)
    return Candidate(job.options, estimate, result.seconds)


def _check_one_part(parts: int) -> None:
    if parts != 1:
        raise ConfigError(
            f"The model runs on the NPU in {parts} parts, and only one part can be embedded.",
            where="embed",
            hint="Leave embed out: the binaries then stay files of their own.",
        )
