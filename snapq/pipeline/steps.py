"""Walks the stages of a run, taking finished ones from the cache.

With `precision: auto` each kind of device walks them from quantize on for itself, and from prepare
on where it is faster in a form of its own; those for which the same model comes of it go on
together. With `batch: auto` they part at package, where calls of different numbers of samples are
the fastest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from snapq.config import PackageConfig, PrepareConfig, QuantizeConfig, RepairConfig, StageOptions
from snapq.devices.profiles import DeviceProfile
from snapq.pipeline.available import SOURCE, Available
from snapq.pipeline.cache import Cache
from snapq.pipeline.inputs import Setting
from snapq.pipeline.kinds import kinds
from snapq.progress import Progress, duration
from snapq.stages.artifact import MODEL, Artifact
from snapq.stages.base import Context, Stage, stage
from snapq.stages.package.stage import fastest_batch
from snapq.stages.prepare import APART


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


@dataclass(frozen=True)
class Branch:
    """The devices that share a package, and the steps that led to it.

    Attributes:
        devices: in the order of the YAML.
        finished: every step from the first on; of a plan those that are kept, without a gap.
        inputs: what there is behind the last of them.
    """

    devices: tuple[DeviceProfile, ...]
    finished: tuple[Finished, ...]
    inputs: Available

    @property
    def names(self) -> tuple[str, ...]:
        """Of the devices."""
        return tuple(device.name for device in self.devices)

    @property
    def precision(self) -> str:
        """Of what the last step left."""
        return self.finished[-1].artifact.precision

    def then(self, done: Finished) -> Branch:
        """The branch with one more step."""
        inputs = self.inputs.after(done.step.index, done.step.name, done.artifact)
        return replace(self, finished=(*self.finished, done), inputs=inputs)


def walk(
    setting: Setting,
    inputs: Available,
    cache: Cache,
    progress: Progress,
    *,
    stop_at: str | None = None,
) -> tuple[Branch, ...]:
    """Runs the steps one after the other.

    Args:
        setting: of the run.
        inputs: what there is before the first step.
        cache: finished work of earlier runs.
        progress: progress reporter.
        stop_at: the name of a stage; it and what is behind it is not run.

    Returns:
        A branch for each package; one, with all devices, where these share one.
    """
    branches: tuple[Branch, ...] = (Branch(setting.devices, (), inputs),)
    planned = steps(setting)
    for step in planned:
        if step.name == stop_at:
            break
        branches = _all_by_batch(step, branches, setting, cache, progress)
        before = branches
        if _parts(step):
            branches = _all_apart(branches, setting)
        title = f"Stage {step.index + 1} of {len(planned)}: {step.name}"
        branches = _with(step, branches, title, cache, progress)
        if _wants_apart(branches):
            branches = _with(step, _all_apart(before, setting), title, cache, progress)
        if _parts(step) or len(branches) > len(before):
            branches = _joined(branches, setting)
    return branches


def _with(
    step: Step, branches: tuple[Branch, ...], title: str, cache: Cache, progress: Progress
) -> tuple[Branch, ...]:
    """The branches with one more step."""
    return tuple(
        one.then(_finished(step, one, cache, progress, _title(title, one, branches)))
        for one in branches
    )


def kept(
    setting: Setting, inputs: Available, cache: Cache
) -> tuple[tuple[Step, tuple[str, ...], Artifact | None], ...]:
    """The steps with their kept artifacts, None where a step would run.

    The names are those of the devices that a step is for, none where it is for all. Behind a
    quantize step that would run nobody knows which devices part, so the steps are for all again.
    """
    found: list[tuple[Step, tuple[str, ...], Artifact | None]] = []
    branches: tuple[Branch, ...] = (Branch(setting.devices, (), inputs),)
    runs = False
    for step in steps(setting):
        if not runs:
            branches = _all_by_batch(step, branches, setting, cache, None)
        before = branches
        if _parts(step) and not runs:
            branches = _all_apart(branches, setting)
        artifacts = [None if runs else _artifact(step, one, cache)[1] for one in branches]
        if len(branches) == 1 and artifacts[0] is not None and _says_apart(artifacts[0]):
            branches = _all_apart(before, setting)
            artifacts = [_artifact(step, one, cache)[1] for one in branches]
        for one, artifact in zip(branches, artifacts, strict=True):
            found.append((step, one.names if len(branches) > 1 else (), artifact))
        if None in artifacts:
            runs, branches = True, (Branch(setting.devices, (), inputs),)
            continue
        branches = tuple(
            one.then(Finished(step, artifact, True))
            for one, artifact in zip(branches, artifacts, strict=True)
            if artifact is not None
        )
        if _parts(step) or len(branches) > len(before):
            branches = _joined(branches, setting)
    return tuple(found)


def _parts(step: Step) -> bool:
    """Whether devices may part at this step."""
    return isinstance(step.options, QuantizeConfig) and step.options.precision == "auto"


def _wants_apart(branches: tuple[Branch, ...]) -> bool:
    """Whether the only branch is of a form that some of its devices are slower with."""
    return len(branches) == 1 and _says_apart(branches[0].finished[-1].artifact)


def _says_apart(artifact: Artifact) -> bool:
    return bool(artifact.record.details.get(APART))


def _all_apart(branches: tuple[Branch, ...], setting: Setting) -> tuple[Branch, ...]:
    return tuple(part for one in branches for part in _apart(one, setting))


def _apart(branch: Branch, setting: Setting) -> tuple[Branch, ...]:
    """A branch for each kind of device."""
    found = kinds(setting, branch.devices)
    if len(found) < 2:
        return (branch,)
    return tuple(_of(branch, devices, setting) for devices in found)


def batch_key(inputs: Available, options: PackageConfig) -> str:
    """Under which it is kept how many samples a call of a package takes.

    Args:
        inputs: what there is in front of the package stage, with the devices that it is for.
        options: of the stage.
    """
    return inputs.key("package batch", stage("package").reads(options), options)


def _all_by_batch(
    step: Step,
    branches: tuple[Branch, ...],
    setting: Setting,
    cache: Cache,
    progress: Progress | None,
) -> tuple[Branch, ...]:
    return tuple(
        part for one in branches for part in _by_batch(step, one, setting, cache, progress)
    )


def _by_batch(
    step: Step, branch: Branch, setting: Setting, cache: Cache, progress: Progress | None
) -> tuple[Branch, ...]:
    """A branch for each number of samples of a call that is the fastest on some of its devices.

    Args:
        step: the next one; where it does not choose, the branch stays as it is.
        branch: in front of it.
        setting: of the run.
        cache: keeps what was chosen.
        progress: progress reporter; None of a plan, which goes by what is kept and does no work.
    """
    options, groups = step.options, kinds(setting, branch.devices)
    if not isinstance(options, PackageConfig) or options.batch != "auto" or len(groups) < 2:
        return (branch,)
    by_size: dict[int, list[str]] = {}
    for devices in groups:
        part = _of(branch, devices, setting)
        reads = stage(step.name).reads(options)
        key = batch_key(part.inputs, options)
        size = cache.value(key)
        if size is None and progress is None:
            return (branch,)
        if size is None:
            values = part.inputs.values(reads)
            context = Context(reads, values, memo=cache, progress=progress)
            size = fastest_batch(options, context)
            cache.keep_value(key, size)
        by_size.setdefault(size, []).extend(device.name for device in devices)
    if len(by_size) < 2:
        return (branch,)
    return tuple(
        _of(branch, tuple(one for one in branch.devices if one.name in names), setting)
        for names in by_size.values()
    )


def _joined(branches: tuple[Branch, ...], setting: Setting) -> tuple[Branch, ...]:
    """Those with the same model together, under the first one's steps."""
    same: dict[tuple[object, ...], list[Branch]] = {}
    for one in branches:
        record = one.finished[-1].artifact.record
        # Beside the model there are figures of the search, which hang on the device.
        model = [item for item in sorted(record.files.items()) if item[0].startswith(MODEL)]
        same.setdefault((record.precision, *model), []).append(one)
    together = []
    for group in same.values():
        named = {name for one in group for name in one.names}
        devices = tuple(device for device in setting.devices if device.name in named)
        together.append(group[0] if len(group) == 1 else _of(group[0], devices, setting))
    return tuple(together)


def _of(branch: Branch, devices: tuple[DeviceProfile, ...], setting: Setting) -> Branch:
    """The branch with these devices."""
    return Branch(devices, branch.finished, branch.inputs.for_devices(devices, setting))


def _title(title: str, one: Branch, branches: Iterable[Branch]) -> str:
    return f"{title} for {', '.join(one.names)}" if len(tuple(branches)) > 1 else title


def _finished(step: Step, branch: Branch, cache: Cache, progress: Progress, title: str) -> Finished:
    """Runs the step, or takes what an earlier run made of the same inputs."""
    key, kept = _artifact(step, branch, cache)
    if kept is not None:
        progress.say(f"{title} (reused, same inputs)")
        return Finished(step, kept, True)
    progress.say(title)
    asked = stage(step.name)
    reads = asked.reads(step.options)
    checkpoint = cache.checkpoint(key)
    values = branch.inputs.values(reads)
    context = Context(reads, values, checkpoint=checkpoint, memo=cache, progress=progress)
    artifact = cache.keep(key, _builder(asked, step, context))
    checkpoint.unlink(missing_ok=True)
    progress.say(f"{title} took {duration(artifact.record.seconds)}")
    return Finished(step, artifact, False)


def _artifact(step: Step, branch: Branch, cache: Cache) -> tuple[str, Artifact | None]:
    """The key of a step, and what is kept under it."""
    reads = stage(step.name).reads(step.options)
    key = branch.inputs.key(step.name, reads, step.options)
    return key, cache.artifact(key)


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
