"""Runs a deploy.yaml: the stages, then the proof of what they did, into a run directory."""

from __future__ import annotations

import logging
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from snapq import version
from snapq.benchmarking.history.predicted import beside
from snapq.benchmarking.history.subject import Made
from snapq.bundle.deployment import BundleDeployment
from snapq.config import DeployConfig
from snapq.config.reading.secrets import hide, literal
from snapq.npu import runtime
from snapq.pipeline import evidence
from snapq.pipeline import steps as stages
from snapq.pipeline.available import available
from snapq.pipeline.cache import Cache
from snapq.pipeline.evidence.latency import check_target
from snapq.pipeline.gates import Evaluated, check
from snapq.pipeline.gates.answers import answer_notes
from snapq.pipeline.inputs import Setting
from snapq.pipeline.placing import Placed, place
from snapq.pipeline.run_directory import LOG_NAME
from snapq.progress import Advance, Progress
from snapq.records import Figures, FileRecord, Provenance, RunRecord, StageRecord
from snapq.stages.artifact import library_versions
from snapq.stages.package.stage import BUNDLE
from snapq.storage import compressed_size, fingerprint, sha256_file, write_text

LOG = logging.getLogger("snapq")


def execute(
    chosen: Setting, folder: Path, cache: Cache, progress: Progress, command: tuple[str, ...]
) -> RunRecord:
    """Runs every stage and every proof, and fills the run directory except for the report.

    Args:
        chosen: what the run needs, read and checked.
        folder: the run directory that is being built.
        cache: finished work of earlier runs.
        progress: progress reporter.
        command: the command line, for the provenance.

    Raises:
        InstallError: a package is asked for and Qualcomm's compiler cannot be used here.
        SnapqError: a stage cannot do its work.
    """
    if any(item.name == "package" for item in chosen.config.stages):
        runtime.require()
    started = datetime.now(UTC)
    clock = time.monotonic()
    with _log_to(folder / LOG_NAME):
        told = _Logged(progress)
        check_target(chosen.config.benchmark, told)
        inputs = available(chosen)
        branches = stages.walk(chosen, inputs, cache, told)
        finished = place(branches, folder, _deployment(chosen, branches))
        found = evidence.gather(chosen, branches, cache, told, folder / BUNDLE)
        figures = _with_subjects(found.figures, chosen, branches)
        secrets = chosen.config.secrets
        stage_records = tuple(_stage_record(one, folder, secrets) for one in finished)
        precision = branches[0].precision
        bundle = tuple(
            file_record(path, folder)
            for path in sorted((folder / BUNDLE).rglob("*"))
            if path.is_file()
        )
        evaluated = Evaluated(
            figures,
            chosen.devices,
            precision,
            bundle,
            [(one.names, one.precision) for one in branches] if len(branches) > 1 else (),
        )
        benches = tuple(bench.without_samples() for bench in figures.benches)
        record = RunRecord(
            name=chosen.config.name,
            started_at=started.isoformat(timespec="seconds"),
            seconds=time.monotonic() - clock,
            finished=True,
            provenance=_provenance(chosen, started, command, figures),
            config=_shown(chosen.config),
            model=file_record(finished[0].model, folder),
            devices=tuple(device.name for device in chosen.devices),
            stages=stage_records,
            **dict(figures.model_copy(update={"benches": benches})),
            bundle_files=bundle,
            gates=check(chosen.config.gates, evaluated),
            notes=tuple(hide((*found.notes, *answer_notes(figures.answers, precision)), secrets)),
        )
        _write_measurements(figures, folder)
        write_text(
            folder / "config.yaml", yaml.safe_dump(_as_written(chosen.config), sort_keys=False)
        )
        write_text(folder / "run.json", record.model_dump_json(indent=1) + "\n")
    return record


def file_record(path: Path, folder: Path) -> FileRecord:
    """Hash and sizes of one file of the run directory."""
    return FileRecord(
        path=path.relative_to(folder).as_posix(),
        sha256=sha256_file(path),
        bytes=path.stat().st_size,
        bytes_compressed=compressed_size(path),
    )


def _with_subjects(figures: Figures, chosen: Setting, branches: Sequence[stages.Branch]) -> Figures:
    """The figures, with what their measurements are of, and what was predicted of it."""
    protocol = chosen.config.benchmark
    if not figures.benches or protocol is None:
        return figures
    made = Made(_deployment(chosen, branches), protocol.baseline)
    told = beside(made.told(figures.benches), figures.predictions)
    return figures.model_copy(update={"benches": told})


def _deployment(chosen: Setting, branches: Sequence[stages.Branch]) -> BundleDeployment:
    calibration, evaluation = chosen.calibration, chosen.evaluation
    return BundleDeployment(
        deployment=chosen.config.name,
        given_sha256=chosen.source_sha256,
        stage=branches[-1].finished[-1].step.name,
        calibration_sha256=calibration.fingerprint() if calibration else None,
        evaluation_sha256=evaluation.fingerprint() if evaluation else None,
    )


def _dumped(config: DeployConfig) -> Any:
    values = config.model_dump(mode="json", exclude_none=True)
    if config.benchmark is not None:  # of which keys that nobody wrote depend on the target
        values["benchmark"] = config.benchmark.model_dump(
            mode="json", exclude_none=True, exclude_unset=True
        )
    return values


def _shown(config: DeployConfig) -> Any:
    """The configuration for whoever reads the run, without the values of secrets."""
    return hide(_dumped(config), config.secrets)


def _as_written(config: DeployConfig) -> Any:
    """The configuration as YAML that gives the same one again where the secrets are set."""
    spelt = {name: literal(value) for name, value in config.secrets.items()}
    return hide(literal(_dumped(config)), spelt)


def _stage_record(placed: Placed, folder: Path, secrets: Mapping[str, str]) -> StageRecord:
    step, record = placed.item.step, placed.item.artifact.record
    options = step.options
    return StageRecord(
        index=step.index,
        name=step.name,
        config=hide(options.model_dump(mode="json"), secrets) if options else {},
        seconds=record.seconds,
        cached=placed.item.cached,
        model=file_record(placed.model, folder),
        notes=tuple(hide(record.notes, secrets)),
        details=hide(record.details, secrets),
        devices=placed.devices,
    )


def _provenance(
    chosen: Setting, started: datetime, command: tuple[str, ...], figures: Figures
) -> Provenance:
    calibration, evaluation = chosen.calibration, chosen.evaluation
    return Provenance(
        snapq=version.__version__,
        build=version.build(),
        python=platform.python_version(),
        platform=platform.platform(),
        cpu=_cpu_name(),
        versions=library_versions(),
        qairt=next((target.qairt for target in figures.bundle), None),
        command=command,
        started_at=started.isoformat(timespec="seconds"),
        config_sha256=fingerprint(chosen.config.model_dump(mode="json")),
        model_sha256=chosen.source_sha256,
        calibration_sha256=calibration.fingerprint() if calibration else None,
        evaluation_sha256=evaluation.fingerprint() if evaluation else None,
    )


def _cpu_name() -> str:
    """Name of the host's processor, as the system gives it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _write_measurements(figures: Figures, folder: Path) -> None:
    """Writes each kind of figure into a file of its own, for tools that want only that."""
    for kind, values in figures:
        if values:
            items = ",\n".join(value.model_dump_json(indent=1) for value in values)
            write_text(folder / "measurements" / f"{kind}.json", f"[{items}]\n")


class _Logged:
    """A progress that also writes what it is told into the run's log."""

    def __init__(self, inner: Progress) -> None:
        self._inner = inner

    def say(self, text: str) -> None:
        LOG.info(text)
        self._inner.say(text)

    @contextmanager
    def track(self, title: str, total: int | None = None) -> Iterator[Advance]:
        LOG.info("%s (%s)", title, "…" if total is None else total)
        with self._inner.track(title, total) as advance:
            yield advance


@contextmanager
def _log_to(path: Path) -> Iterator[None]:
    """Sends snapq's log into `path` while the block runs."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    LOG.addHandler(handler)
    level = LOG.level
    LOG.setLevel(logging.DEBUG)
    LOG.propagate = False
    try:
        yield
    finally:
        LOG.setLevel(level)
        LOG.removeHandler(handler)
        handler.close()
