"""Runs the deploy.yaml of a language model: the steps, then the proof, into a run directory."""

from __future__ import annotations

import platform
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from snapq import version
from snapq.config import LanguageDeployConfig
from snapq.config.reading.secrets import hide, literal
from snapq.llm.files import PREFILL, SEPARATE
from snapq.npu import runtime
from snapq.pipeline.cache import Cache, copy_artifact
from snapq.pipeline.language.figures import gather_figures
from snapq.pipeline.language.gates import check_language_gates
from snapq.pipeline.language.setting import LanguageSetting
from snapq.pipeline.language.steps import HELD, LanguageStep, walk_steps
from snapq.pipeline.recording import Logged, cpu_name, file_record, log_to, write_measurements
from snapq.pipeline.run_directory import LOG_NAME
from snapq.progress import Progress
from snapq.records import Provenance, RunRecord, StageRecord
from snapq.stages.artifact import Artifact, library_versions
from snapq.storage import fingerprint, remove, storage_errors, write_text

__all__ = ["BUNDLE", "execute_language"]

BUNDLE = "bundle"
"""Of a run directory: a package for each device, in a folder of its name."""


def execute_language(
    chosen: LanguageSetting,
    folder: Path,
    cache: Cache,
    progress: Progress,
    command: tuple[str, ...],
) -> RunRecord:
    """Runs every step and every proof, and fills the run directory except for the report.

    Args:
        chosen: what the run needs, read and checked.
        folder: the run directory that is being built.
        cache: finished work of earlier runs.
        progress: progress reporter.
        command: the command line, for the provenance.

    Raises:
        InstallError: Qualcomm's compiler cannot be used here.
        SnapqError: a step cannot do its work.
    """
    runtime.require()
    started = datetime.now(UTC)
    clock = time.monotonic()
    with log_to(folder / LOG_NAME):
        told = Logged(progress)
        stages: list[StageRecord] = []
        made: dict[str, Artifact] = {}
        packages: dict[str, Artifact] = {}
        for index, (step, artifact, cached) in enumerate(walk_steps(chosen, cache, told)):
            stages.append(_placed(index, step, artifact, cached, folder))
            if step.devices:
                packages[step.devices[0]] = artifact
            else:
                made[step.name] = artifact
        figures, notes = gather_figures(
            chosen, made["pair"], made["quantize"], packages, cache, told
        )
        files = (path for path in sorted((folder / BUNDLE).rglob("*")) if path.is_file())
        bundle = tuple(file_record(path, folder) for path in files)
        names = tuple(device.name for device in chosen.devices)
        record = RunRecord(
            name=chosen.config.name,
            started_at=started.isoformat(timespec="seconds"),
            seconds=time.monotonic() - clock,
            finished=True,
            provenance=_provenance(chosen, started, command),
            config=hide(_dumped(chosen.config), chosen.config.secrets),
            model=stages[0].model,
            devices=names,
            stages=tuple(stages),
            **dict(figures),
            bundle_files=bundle,
            gates=check_language_gates(chosen.config.gates, figures, names, bundle),
            notes=notes,
        )
        write_measurements(figures, folder)
        spelt = {name: literal(value) for name, value in chosen.config.secrets.items()}
        written = hide(literal(_dumped(chosen.config)), spelt)
        write_text(folder / "config.yaml", yaml.safe_dump(written, sort_keys=False))
        write_text(folder / "run.json", record.model_dump_json(indent=1) + "\n")
    return record


def _placed(
    index: int, step: LanguageStep, artifact: Artifact, cached: bool, folder: Path
) -> StageRecord:
    """Puts what a step made into the run directory: packages into the bundle."""
    record = artifact.record
    if step.devices:
        place = folder / BUNDLE / step.devices[0]
        with storage_errors(place):
            copied = copy_artifact(artifact, folder / f".{step.devices[0]}")
            place.parent.mkdir(exist_ok=True)
            (copied.folder / HELD).replace(place)
            remove(copied.folder)
        shown = next(iter(sorted((place / SEPARATE / "prefill").glob("*.onnx"))))
    else:
        place = folder / "stages" / f"{index:02d}-{step.name}"
        shown = copy_artifact(artifact, place).folder / HELD / PREFILL
    return StageRecord(
        index=index,
        name=step.name,
        config=step.options,
        seconds=record.seconds,
        cached=cached,
        model=file_record(shown, folder),
        notes=record.notes,
        details={k: v for k, v in record.details.items() if k != "estimates"},
        devices=step.devices,
    )


def _dumped(config: LanguageDeployConfig) -> Any:
    return config.model_dump(mode="json", exclude_none=True)


def _provenance(chosen: LanguageSetting, started: datetime, command: tuple[str, ...]) -> Provenance:
    evaluation = chosen.evaluation
    return Provenance(
        snapq=version.__version__,
        build=version.build(),
        python=platform.python_version(),
        platform=platform.platform(),
        cpu=cpu_name(),
        versions=library_versions(),
        qairt=None,
        command=command,
        started_at=started.isoformat(timespec="seconds"),
        config_sha256=fingerprint(_dumped(chosen.config)),
        model_sha256=chosen.source_sha256,
        calibration_sha256=chosen.calibration.sha256,
        evaluation_sha256=evaluation.sha256 if evaluation is not None else None,
    )
