"""Walks the stages of a run, taking finished ones from the cache."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from snapq.config import PrepareConfig, RepairConfig, StageOptions
from snapq.pipeline.available import SOURCE, Available
from snapq.pipeline.cache import Cache
from snapq.pipeline.inputs import Setting
from snapq.progress import Progress
from snapq.stages.artifact import Artifact
from snapq.stages.base import Context, Reads, Stage, stage


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

    A model that came quantized is repaired behind prepare, unless the YAML quantizes it anew. Of a
    classical model the setting has the stages as they are.
    """
    items: list[tuple[str, StageOptions | None]] = [(SOURCE, None)]
    if setting.classical is None and setting.config.stages[0].name != "prepare":
        items.append(("prepare", PrepareConfig()))
    if setting.repairs:
        items.append(("repair", RepairConfig()))
    items += [(item.name, item.options) for item in setting.config.stages]
    return tuple(Step(index, name, options) for index, (name, options) in enumerate(items))


def walk(
    setting: Setting, inputs: Available, cache: Cache, progress: Progress
) -> Iterator[Finished]:
    """Runs the steps one after the other, and yields each when it is finished.

    Args:
        setting: of the run.
        inputs: what there is before the first step.
        cache: finished work of earlier runs.
        progress: progress reporter.
    """
    for step in steps(setting):
        asked = stage(step.name)
        reads = asked.reads(step.options)
        key = inputs.key(step.name, reads, step.options)
        artifact = cache.artifact(key)
        cached = artifact is not None
        if artifact is None:
            progress.say(f"Stage {step.index}: {step.name}")
            checkpoint = cache.checkpoint(key)
            context = Context(
                reads, inputs.values(reads), checkpoint=checkpoint, memo=cache, progress=progress
            )
            artifact = cache.keep(key, _builder(asked, step, context))
            checkpoint.unlink(missing_ok=True)
        else:
            progress.say(f"Stage {step.index}: {step.name} (reused, same inputs)")
        yield Finished(step, artifact, cached)
        inputs = inputs.after(step.index, step.name, artifact)


def kept(
    setting: Setting, inputs: Available, cache: Cache
) -> Iterator[tuple[Step, Artifact | None]]:
    """Yields the steps with their kept artifacts, None where a step would run."""
    runs = False
    for step in steps(setting):
        artifact = None
        if not runs:
            reads: Reads = stage(step.name).reads(step.options)
            artifact = cache.artifact(inputs.key(step.name, reads, step.options))
        runs = artifact is None
        yield step, artifact
        if artifact is not None:
            inputs = inputs.after(step.index, step.name, artifact)


def _builder(asked: Stage, step: Step, context: Context) -> Callable[[Path], Artifact]:
    def build(folder: Path) -> Artifact:
        started = time.monotonic()
        outcome = asked.run(step.options, context, folder)
        return Artifact.write(
            folder,
            stage=step.name,
            precision=outcome.precision,
            seconds=time.monotonic() - started,
            notes=outcome.notes,
            details=outcome.details,
            failures=outcome.failures,
            changed=outcome.changed,
        )

    return build
