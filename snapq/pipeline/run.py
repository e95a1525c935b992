"""Runs a deploy.yaml: the stages, then the proof of what they did, into a run directory."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping, Sequence
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
from snapq.pipeline.recording import Logged, cpu_name, file_record, log_to, write_measurements
from snapq.pipeline.run_directory import LOG_NAME
from snapq.progress import Progress
from snapq.records import Figures, Provenance, RunRecord, StageRecord
from snapq.stages.artifact import library_versions
from snapq.stages.package.stage import BUNDLE
from snapq.storage import fingerprint, write_text


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
    with log_to(folder / LOG_NAME):
        told = Logged(progress)
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
        write_measurements(figures, folder)
        write_text(
            folder / "config.yaml", yaml.safe_dump(_as_written(chosen.config), sort_keys=False)
        )
        write_text(folder / "run.json", record.model_dump_json(indent=1) + "\n")
    return record


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
    unused = set() if config.search else {"search"}
    values = config.model_dump(mode="json", exclude_none=True, exclude=unused)
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
        cpu=cpu_name(),
        versions=library_versions(),
        qairt=next((target.qairt for target in figures.bundle), None),
        command=command,
        started_at=started.isoformat(timespec="seconds"),
        config_sha256=fingerprint(chosen.config.model_dump(mode="json", exclude={"search"})),
        model_sha256=chosen.source_sha256,
        calibration_sha256=calibration.fingerprint() if calibration else None,
        evaluation_sha256=evaluation.fingerprint() if evaluation else None,
    )
