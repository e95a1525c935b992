"""Walks the stages of a run, taking finished ones from the cache."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from snapq.config import PrepareConfig, QuantizeConfig, RepairConfig, StageOptions
from snapq.pipeline.cache import Cache
from snapq.pipeline.inputs import Setting
from snapq.stages.artifact import MODEL, Artifact
from snapq.stages.base import Context, Source
from snapq.storage import sha256_file

SOURCE = "source"


@dataclass(frozen=True)
class Step:
    """One stage of a run.

    Attributes:
        index: position, from 0 (the model as given).
        name: `source`, or the name of a stage.
        options: the stage's options; None for `source`.
    """

    index: int
    name: str
    options: StageOptions | None

    @property
    def folder(self) -> str:
        """Name of the step's folder in the run directory."""
        return f"{self.index:02d}-{self.name}"


@dataclass(frozen=True)
class Finished:
    """A step with its artifact, and whether it came from the cache."""

    step: Step
    artifact: Artifact
    cached: bool


def steps(setting: Setting) -> tuple[Step, ...]:
    """Lists the steps of a run: the source, prepare, then the stages of the YAML in their order.

    A model that came quantized is repaired behind prepare, unless the YAML quantizes it anew.
    """
    items: list[tuple[str, StageOptions | None]] = [(SOURCE, None)]
    if setting.config.stages[0].name != "prepare":
        items.append(("prepare", PrepareConfig()))
    if setting.repairs:
        items.append(("repair", RepairConfig()))
    items += [(item.name, item.options) for item in setting.config.stages]
    return tuple(Step(index, name, options) for index, (name, options) in enumerate(items))


@dataclass(frozen=True)
class Lineage:
    """The artifacts that a stage can start from.

    Attributes:
        previous: of the step before; None for the first step.
        given: the model as given.
        original: the float model after the prepare stage.
        float_model: the last float model.
    """

    previous: Artifact | None = None
    given: Artifact | None = None
    original: Artifact | None = None
    float_model: Artifact | None = None

    def then(self, step: Step, artifact: Artifact) -> Lineage:
        """The lineage after a step."""
        original = artifact if step.name == "prepare" else self.original
        return Lineage(
            artifact,
            self.given or artifact,
            original,
            artifact if artifact.precision == "float" else self.float_model,
        )


def walk(setting: Setting, context: Context, cache: Cache) -> Iterator[Finished]:
    """Runs the steps one after the other, and yields each when it is finished."""
    lineage = Lineage()
    for step in steps(setting):
        key = step_key(setting, context, step, lineage)
        artifact = cache.artifact(key)
        cached = artifact is not None
        if artifact is None:
            context.progress.say(f"Stage {step.index}: {step.name}")
            checkpoint = cache.checkpoint(key)
            shared = replace(context, checkpoint=checkpoint)
            artifact = cache.keep(key, _builder(setting, shared, step, lineage))
            checkpoint.unlink(missing_ok=True)
        else:
            context.progress.say(f"Stage {step.index}: {step.name} (reused, same inputs)")
        yield Finished(step, artifact, cached)
        lineage = lineage.then(step, artifact)


def known(setting: Setting, context: Context, cache: Cache) -> list[tuple[Step, Artifact | None]]:
    """Lists the steps with their kept artifacts, None where a step would run."""
    found: list[tuple[Step, Artifact | None]] = []
    lineage = Lineage()
    open_end = False
    for step in steps(setting):
        kept = None if open_end else cache.artifact(step_key(setting, context, step, lineage))
        open_end = kept is None
        found.append((step, kept))
        if kept is not None:
            lineage = lineage.then(step, kept)
    return found


def step_key(setting: Setting, context: Context, step: Step, lineage: Lineage) -> str:
    """Hash of everything that the step's result depends on."""
    parts: dict[str, Any] = {"options": step.options and step.options.model_dump(mode="json")}
    if lineage.previous is None:
        return Cache.key(
            step.name, source=setting.source_sha256, inputs=setting.config.model.inputs
        )
    parts["previous"] = lineage.previous.sha256
    if step.name in {"prune", "quantize", "repair"}:
        parts["calibration"] = setting.calibration and setting.calibration.fingerprint()
    if step.name == "prune":
        parts["quantize"] = context.quantize and context.quantize.model_dump(mode="json")
        parts["modes"] = context.optimization_modes
        parts["thin_strides"] = context.thin_strides
    if step.name == "finetune":
        parts["training"] = setting.training and setting.training.fingerprint()
        parts["seed"] = context.seed
        parts["original"] = lineage.original and lineage.original.sha256
        parts["float_model"] = lineage.float_model and lineage.float_model.sha256
    if step.name == "package":
        parts["golden"] = context.golden and context.golden.fingerprint()
        parts["npu_share"] = context.npu_share
    if isinstance(step.options, QuantizeConfig) and step.options.mixed_precision is not None:
        parts["metric"] = setting.config.metric
    if isinstance(step.options, QuantizeConfig) and step.options.encodings is not None:
        parts["encodings"] = sha256_file(step.options.encodings)
    if step.name in {"prune", "quantize", "repair", "cluster", "package"}:
        parts["devices"] = [vars(device) for device in setting.devices]
    if step.name in {"prune", "quantize", "repair", "finetune", "package"}:
        parts["boundary"] = setting.boundary.to_json()
    return Cache.key(step.name, **parts)


def _builder(setting: Setting, context: Context, step: Step, lineage: Lineage) -> Any:
    def build(folder: Path) -> Artifact:
        started = time.monotonic()
        if lineage.previous is None:
            _write_source(setting, folder)
            precision, notes, details = "float", (), {}
        else:
            stage = importlib.import_module(f"snapq.stages.{step.name}")
            previous, last = lineage.previous, lineage.float_model
            source = Source(
                previous.model, previous.precision, previous.folder, last.model if last else None
            )
            shared = replace(
                context,
                given=lineage.given.model if lineage.given else None,
                original=lineage.original.model if lineage.original else None,
            )
            outcome = stage.run(source, step.options, shared, folder)
            precision, notes, details = outcome.precision, outcome.notes, dict(outcome.details)
        return Artifact.write(
            folder,
            stage=step.name,
            precision=precision,
            seconds=time.monotonic() - started,
            notes=notes,
            details=details,
        )

    return build


def _write_source(setting: Setting, folder: Path) -> None:
    """Writes the model as given, with its shapes frozen: the baseline of every comparison."""
    from snapq.graph import io, shapes

    model = shapes.freeze(io.load(setting.config.model.path), setting.config.model.inputs)
    io.save(model, folder / MODEL)
