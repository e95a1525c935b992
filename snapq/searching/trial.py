"""One trial: a deploy.yaml through its stages, its estimate, and where it can win its simulation.

`evaluate` depends on what it is handed alone and can run in any process that sees the same files:
here, in a pool, or on another machine.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from snapq.config import DeployConfig, PackageConfig
from snapq.config.reading.marked import plain
from snapq.config.reading.secrets import hide
from snapq.errors import QnnError, SnapqError
from snapq.graph import io
from snapq.pipeline.available import Available, available
from snapq.pipeline.cache import Cache, in_use
from snapq.pipeline.evidence import outputs
from snapq.pipeline.evidence.base import Found
from snapq.pipeline.inputs import Setting, load_setting
from snapq.pipeline.steps import Branch, walk
from snapq.progress import Progress, Silent
from snapq.records import EstimateRecord
from snapq.report.formatting import microseconds, size
from snapq.searching.look import Look, cheap_us, first, loss, one_line
from snapq.searching.space import overrides
from snapq.searching.specs import (
    COMPLETE,
    FAILED,
    PRUNED,
    Limits,
    Rival,
    TrialOutcome,
    TrialSpec,
    as_config,
    configuration,
    digest,
    files,
)
from snapq.stages.package.stage import Packaged

__all__ = [
    "COMPLETE",
    "FAILED",
    "PRUNED",
    "Limits",
    "Rival",
    "TrialOutcome",
    "TrialSpec",
    "as_config",
    "configuration",
    "digest",
    "evaluate",
    "files",
]

_NEAR = 32
"""Samples that the CPU computes to say what is worth simulating."""


def evaluate(spec: TrialSpec, progress: Progress | None = None) -> TrialOutcome:
    """Makes and measures a point. What is wrong with it is told in the outcome, not raised."""
    clock, before = time.monotonic(), _processor_seconds()
    try:
        with in_use(Path(spec.cache)):
            found = _Trial(spec, progress or Silent()).outcome()
    except SnapqError as error:
        found = TrialOutcome(spec.number, FAILED, one_line(str(error)), config=spec.config)
    return replace(
        found,
        seconds=time.monotonic() - clock,
        cpu_seconds=_processor_seconds() - before,
        host=socket.gethostname(),
        cache=spec.cache,
    )


class _Trial:
    """A trial while it runs."""

    def __init__(self, spec: TrialSpec, progress: Progress) -> None:
        self._spec, self._progress = spec, progress
        self._cache = Cache(Path(spec.cache))
        self._setting = load_setting(configuration(spec), random_inputs=spec.random_inputs)
        if spec.layers:
            self._setting = self._with_layers(self._setting)

    def outcome(self) -> TrialOutcome:
        """Raises `SnapqError` where a stage cannot do its work."""
        setting = self._setting
        in_float = Look()
        if self._is_made_by_quantizing:
            whole = walk(
                setting, available(setting), self._cache, self._progress, stop_at="quantize"
            )
            in_float = self._looked(whole[0].inputs.in_float())
            if lost := self._lost_in_float(in_float, whole):
                return lost
        before = walk(setting, available(setting), self._cache, self._progress, stop_at="package")
        look = self._looked(before[0].inputs.unpackaged())
        known = replace(
            self._told(before),
            near=look.loss,
            float_near=in_float.loss,
            sentence=look.failure,
            us=self._cheap_us(look, before),
        )
        if known.us is not None and (reason := self._hopeless(known) or self._over(known)):
            return replace(known, state=PRUNED, sentence=reason)
        branches = walk(setting, available(setting), self._cache, self._progress)
        packages = [_package(branch) for branch in branches]
        estimate = _estimate(packages, self._spec.device)
        found = replace(
            self._told(branches),
            us=estimate.precise_us or estimate.us,
            near=look.loss,
            float_near=in_float.loss,
            sentence=look.failure,
            bytes=_compiled_bytes(packages, self._spec.device),
        )
        found = replace(found, measures={**found.measures, "estimated_on": estimate.estimated_on})
        if reason := self._over(found) or self._hopeless(found):
            return replace(found, state=PRUNED, sentence=reason)
        return self._simulated(found, branches)

    def _told(self, branches: Sequence[Branch]) -> TrialOutcome:
        """What is known by the steps alone."""
        return TrialOutcome(
            self._spec.number,
            COMPLETE,
            config=_stored(self._setting.config, self._spec),
            stages=tuple(_stage_facts(branches)),
            measures={"precision": branches[0].precision},
        )

    @property
    def _is_made_by_quantizing(self) -> bool:
        """Whether a float model is quantized, and nothing behind that wins accuracy back."""
        names = [one.name for one in self._setting.config.stages]
        if self._setting.quantized or "quantize" not in names:
            return False
        return "finetune" not in names[names.index("quantize") :]

    def _lost_in_float(self, look: Look, branches: Sequence[Branch]) -> TrialOutcome | None:
        """What is told of a point that loses too much before it is quantized; None of others."""
        spec, most = self._spec, self._spec.limits.max_drop
        if look.loss is None or spec.float_margin is None or most is None or not self._is_single:
            return None
        if look.loss - spec.float_margin <= most:
            return None
        us = cheap_us(branches, spec.device, self._cache, roughly=True)
        sentence = (
            f"Not quantized: in float it loses {look.loss:.4g} on some samples already, too much "
            f"for the limit of {most:.4g} even if {spec.float_margin:.4g} come back."
        )
        told = replace(self._told(branches), us=us, float_near=look.loss)
        return None if us is None else replace(told, state=PRUNED, sentence=sentence)

    def _looked(self, inputs: Available) -> Look:
        """The loss by this machine's CPU on some samples."""
        setting, data = self._setting, self._setting.evaluation
        if data is None or data.state or setting.classical is not None:
            return Look()
        inputs = inputs.with_evaluation(first(data, _NEAR), setting.source_sha256)
        try:
            found = outputs.ON_CPU.found(inputs, self._cache, Silent())
            return Look(loss(found, self._spec.base)[0])
        except SnapqError as error:  # the simulation may do without
            return Look(failure=f"Not looked at on the CPU first: {one_line(str(error))}")

    def _cheap_us(self, look: Look, branches: Sequence[Branch]) -> float | None:
        """The estimate before anything is packaged; None where the point can win all the same.

        Packaging takes several times as long, and finds this estimate kept.
        """
        spec = self._spec
        limits = spec.limits
        least = None if look.loss is None or spec.margin is None else look.loss - spec.margin
        beyond = least is not None and limits.max_drop is not None and least > limits.max_drop
        lost = least is not None and any(rival.loss <= least for rival in spec.frontier)
        if not (beyond or lost or limits.max_us is not None) or not self._is_single:
            return None
        package = self._package
        return cheap_us(
            branches,
            spec.device,
            self._cache,
            roughly=beyond,
            tries=0 if package is None else package.judge.tries,
        )

    @property
    def _package(self) -> PackageConfig | None:
        """The options of the package stage."""
        options = (one.options for one in self._setting.config.stages)
        return next((one for one in options if isinstance(one, PackageConfig)), None)

    @property
    def _is_single(self) -> bool:
        """Whether the package takes one sample a call, as the early estimate does."""
        package = self._package
        return package is not None and package.batch == 1 and self._setting.classical is None

    def _with_layers(self, setting: Setting) -> Setting:
        """The setting with overrides for those layers that pruning left."""
        config, spec = setting.config, self._spec
        branches = walk(
            setting, available(setting), self._cache, self._progress, stop_at="quantize"
        )
        models = [io.load(branch.finished[-1].artifact.model) for branch in branches]
        nodes = frozenset.intersection(
            *(frozenset(str(node.name) for node in model.graph) for model in models)
        )
        values = plain(config)
        for item in values["stages"]:
            if "quantize" in item:
                item["quantize"] = {
                    **(item["quantize"] or {}),
                    "overrides": overrides(spec.layers, nodes),
                }
        changed = as_config(json.dumps(values)).at(config.folder, config.secrets)
        return replace(setting, config=changed)

    def _over(self, found: TrialOutcome) -> str:
        """Which limit the estimate breaks; empty where it keeps them."""
        limits = self._spec.limits
        if limits.max_us is not None and found.us is not None and found.us > limits.max_us:
            return (
                f"Not simulated: {microseconds(found.us)} are more than the limit of "
                f"{microseconds(limits.max_us)}."
            )
        if limits.max_bytes is not None and (found.bytes or 0) > limits.max_bytes:
            return (
                f"Not simulated: {size(found.bytes or 0)} are more than the limit of "
                f"{size(limits.max_bytes)}."
            )
        return ""

    def _hopeless(self, found: TrialOutcome) -> str:
        """Why this one cannot win, by the CPU's look at it; empty where it can."""
        spec = self._spec
        if found.near is None or spec.margin is None or found.us is None:
            return ""
        least, most = found.near - spec.margin, spec.limits.max_drop
        if most is not None and least > most:
            return (
                f"Not simulated: by the CPU on some samples it loses {found.near:.4g}, too much "
                f"for the limit of {most:.4g} even if the CPU is off by {spec.margin:.4g}."
            )
        rival = next((r for r in spec.frontier if r.us <= found.us and r.loss <= least), None)
        if rival is None:
            return ""
        return (
            f"Pruned by the estimate: it takes {microseconds(found.us)}, and trial "
            f"{rival.number} takes {microseconds(rival.us)} and loses no more than this one would."
        )

    def _simulated(self, found: TrialOutcome, branches: Sequence[Branch]) -> TrialOutcome:
        total = Found()
        for branch in branches:
            total = total.and_also(
                outputs.EVIDENCE.found(branch.inputs, self._cache, self._progress)
            )
        lost, measures = loss(total, self._spec.base)
        return replace(found, loss=lost, measures={**found.measures, **measures})


def _package(branch: Branch) -> Packaged:
    return Packaged.read(branch.finished[-1].artifact.folder)


def _estimate(packages: Sequence[Packaged], device: str) -> EstimateRecord:
    """The estimate of the package of a device. Raises `QnnError` where there is none."""
    for package in packages:
        for one in package.estimates:
            if one.device == device:
                return one
    raise QnnError(
        f"There is no estimate for {device}.",
        hint="`snapq devices` says which devices have one: name one with --device.",
    )


def _compiled_bytes(packages: Sequence[Packaged], device: str) -> int:
    """Bytes of what is compiled for a device."""
    entries = (one for package in packages for one in package.devices if one.device == device)
    return sum(file.bytes for entry in entries for file in entry.files)


def _stage_facts(branches: Sequence[Branch]) -> Iterator[dict[str, Any]]:
    for item in branches[0].finished:
        record = item.artifact.record
        yield {
            "name": item.step.name,
            "key": item.artifact.folder.name,
            "seconds": record.seconds,
            "cached": item.cached,
            "notes": list(record.notes),
        }


def _stored(config: DeployConfig, spec: TrialSpec) -> str:
    """The configuration as JSON, without secrets."""
    values = {name: os.environ.get(name, "") for name in spec.secrets}
    return json.dumps(hide(plain(config), values))


def _processor_seconds() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system
