"""One trial: a deploy.yaml through its stages, its estimate, and where it can win its simulation.

`evaluate` depends on what it is handed alone and can run in any process that sees the same files:
here, in a pool, or on another machine.
"""

from __future__ import annotations

import json
import math
import os
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from snapq.config import DeployConfig
from snapq.config.reading.marked import plain
from snapq.config.reading.secrets import hide
from snapq.errors import ConfigError, QnnError, SnapqError
from snapq.evaluation.samples import Dataset
from snapq.graph import io
from snapq.metric_table import drop
from snapq.pipeline.available import available
from snapq.pipeline.cache import Cache, in_use
from snapq.pipeline.evidence import outputs
from snapq.pipeline.evidence.base import Found
from snapq.pipeline.inputs import Setting, load_setting
from snapq.pipeline.steps import Branch, walk
from snapq.progress import Progress, Silent
from snapq.records import EstimateRecord
from snapq.report.formatting import microseconds, size
from snapq.searching.space import overrides
from snapq.searching.specs import (
    COMPLETE,
    FAILED,
    FLOAT,
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
from snapq.storage import fingerprint

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
_NOISELESS_DB = 100.0
"""SQNR of outputs without any error."""


def evaluate(spec: TrialSpec, progress: Progress | None = None) -> TrialOutcome:
    """Makes and measures a point. What is wrong with it is told in the outcome, not raised."""
    clock, before = time.monotonic(), _processor_seconds()
    try:
        with in_use(Path(spec.cache)):
            found = _Trial(spec, progress or Silent()).outcome()
    except SnapqError as error:
        found = TrialOutcome(spec.number, FAILED, _one_line(str(error)), config=spec.config)
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
        spec, setting = self._spec, self._setting
        branches = walk(setting, available(setting), self._cache, self._progress)
        packages = [_package(branch) for branch in branches]
        estimate = _estimate(packages, spec.device)
        compiled = sum(
            file.bytes
            for package in packages
            for entry in package.devices
            if entry.device == spec.device
            for file in entry.files
        )
        found = TrialOutcome(
            spec.number,
            COMPLETE,
            us=estimate.precise_us or estimate.us,
            bytes=compiled,
            config=_stored(setting.config, spec),
            stages=tuple(_stage_facts(branches)),
            measures={"precision": branches[0].precision, "estimated_on": estimate.estimated_on},
        )
        reason = self._over(found)
        near = None if reason else self._near(branches[0])
        found = replace(found, near=near)
        reason = reason or self._hopeless(found)
        if reason:
            return replace(found, state=PRUNED, sentence=reason)
        return self._simulated(found, branches)

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

    def _near(self, branch: Branch) -> float | None:
        """The loss by this machine's CPU on some samples; None where that says nothing."""
        setting, data = self._setting, self._setting.evaluation
        if data is None or data.state or setting.classical is not None:
            return None
        few = _first(data, _NEAR)
        inputs = branch.inputs.unpackaged().with_evaluation(few, setting.source_sha256)
        try:
            return self._loss(outputs.ON_CPU.found(inputs, self._cache, Silent()))[0]
        except SnapqError:  # it will show in the simulation, or not at all
            return None

    def _hopeless(self, found: TrialOutcome) -> str:
        """Who is faster and at least as good as this one can be; empty where nobody is."""
        spec = self._spec
        if found.near is None or spec.margin is None or found.us is None:
            return ""
        best = found.near - spec.margin
        rival = next((r for r in spec.frontier if r.us <= found.us and r.loss <= best), None)
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
        loss, measures = self._loss(total)
        return replace(found, loss=loss, measures={**found.measures, **measures})

    def _loss(self, found: Found) -> tuple[float, dict[str, Any]]:
        """How much worse than float, and the figures behind it.

        Raises:
            ConfigError: nothing was compared.
        """
        figures = found.figures
        sqnr = [one.sqnr_db for one in figures.fidelity if not one.behind_cut]
        measures: dict[str, Any] = {}
        if sqnr:
            measures["sqnr_db"] = min(min(sqnr), _NOISELESS_DB)
        own = {one.metric: one.value for one in figures.accuracy if one.label == FLOAT}
        drops: list[float] = []
        for one in figures.accuracy:
            if one.label == FLOAT or one.metric not in own:
                continue
            base = self._spec.base.get(one.metric, own[one.metric])
            lost = drop(one.metric, base, one.value)
            if not drops or lost > max(drops):
                measures |= {"metric": one.metric, "value": one.value, FLOAT: base}
                measures |= {"samples": one.samples, "where": str(one.where)}
            drops.append(lost)
        shares = [one.share for one in figures.answers]
        if drops:
            return max(drops), measures
        if shares:
            return 1.0 - min(shares), {**measures, "equal_answers": min(shares)}
        if sqnr and not math.isnan(measures["sqnr_db"]):
            return -measures["sqnr_db"], measures
        raise ConfigError(
            "There is nothing to compare with the float model on.",
            where="data.evaluation",
            hint="Name samples there, with labels and a `metric` for a drop of accuracy.",
        )


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


def _first(data: Dataset, count: int) -> Dataset:
    """The first samples of a data set; itself where it has no more."""
    if len(data) <= count:
        return data
    return replace(
        data,
        make=lambda: islice(data, count),
        count=count,
        description=f"the first {count} of {data.description}",
        fingerprint=lambda: fingerprint([data.fingerprint(), count]),
    )


def _processor_seconds() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def _one_line(text: str) -> str:
    return " ".join(text.split())
