"""What a trial is handed and what it gives back: picklable, as JSON, and without secrets.

A value that came from a secret variable is its name again, and is looked up where the trial runs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from snapq.config import DataSource, DeployConfig
from snapq.errors import ConfigError
from snapq.graph import io
from snapq.storage import fingerprint

COMPLETE, PRUNED, FAILED = "complete", "pruned", "failed"
FLOAT = "float"


@dataclass(frozen=True)
class Limits:
    """What a point must keep; None is no limit.

    Attributes:
        max_drop: of the metric, or -SQNR in dB where there is no metric.
        max_us: estimated microseconds.
        max_bytes: of what is compiled for the device.
    """

    max_drop: float | None = None
    max_us: float | None = None
    max_bytes: int | None = None


@dataclass(frozen=True)
class Rival:
    """A point that a trial has to beat.

    Attributes:
        number: of its trial.
        us: its estimate.
        loss: its drop of the metric, or -SQNR.
    """

    number: int
    us: float
    loss: float


Layers = tuple[tuple[tuple[str, ...], str], ...]
"""Groups of nodes, each with a precision."""


def digest(config: str, layers: Layers) -> str:
    """What makes two trials the same point."""
    return fingerprint([config, layers])


@dataclass(frozen=True)
class TrialSpec:
    """All that a trial depends on; picklable, and without secrets.

    Attributes:
        number: of the trial.
        config: the deploy.yaml as JSON, all paths absolute.
        folder: where `python:` modules are looked for.
        cache: folder of the stage cache.
        device: whose estimate counts.
        random_inputs: whether random inputs stand for data that the file does not name.
        layers: groups of nodes, each with a precision that is not the quantize stage's own.
        secrets: names of the secret variables that the file has.
        base: metrics of the float model as the file has it, by name; empty where its own count.
        frontier: the points that it has to beat.
        margin: by how much the CPU was off what was simulated, at most; None: simulate all.
        float_margin: by how much less points lost than what they were quantized from, at most;
            None: quantize all.
        limits: what it has to keep.
    """

    number: int
    config: str
    folder: str
    cache: str
    device: str
    random_inputs: bool = False
    layers: Layers = ()
    secrets: tuple[str, ...] = ()
    base: Mapping[str, float] = field(default_factory=dict)
    frontier: tuple[Rival, ...] = ()
    margin: float | None = None
    float_margin: float | None = None
    limits: Limits = Limits()

    @property
    def digest(self) -> str:
        """What makes two trials the same point."""
        return digest(self.config, self.layers)


@dataclass(frozen=True)
class TrialOutcome:
    """What came of a trial.

    Attributes:
        number: of the trial.
        state: `complete`, `pruned` (not simulated, as it cannot win), or `failed`.
        sentence: why it is not complete.
        us: estimated microseconds on the device.
        loss: drop of the metric, or -SQNR in dB; simulated.
        near: the same by this machine's CPU on some of the samples; None where that is not known.
        float_near: the same of what is quantized, in float.
        bytes: of what is compiled for the device.
        measures: figures by name, for the page.
        config: the deploy.yaml as JSON, with what became of its layers.
        stages: name, key, seconds, whether it was kept, and notes, each.
        seconds: of the clock.
        cpu_seconds: of the processors, this process and those that it started.
        host: the machine that computed it.
        cache: the folder with its artifacts there.
    """

    number: int
    state: str
    sentence: str = ""
    us: float | None = None
    loss: float | None = None
    near: float | None = None
    float_near: float | None = None
    bytes: int | None = None
    measures: Mapping[str, Any] = field(default_factory=dict)
    config: str = ""
    stages: tuple[Mapping[str, Any], ...] = ()
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    host: str = ""
    cache: str = ""

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> TrialOutcome:
        """The opposite of `to_json`."""
        return cls(**{**values, "stages": tuple(values["stages"])})


def configuration(spec: TrialSpec) -> DeployConfig:
    """The deploy.yaml of a trial, with its secrets. Raises `ConfigError`."""
    text = spec.config
    secrets = {}
    for name in spec.secrets:
        value = os.environ.get(name)
        if value is None:
            raise ConfigError(
                f"The environment variable {name} is not set, which deploy.yaml names.",
                where=spec.folder,
                hint="Set it where the trials run.",
            )
        secrets[name] = value
        text = text.replace(f"${{{name}}}", json.dumps(value)[1:-1])
    return as_config(text).at(Path(spec.folder), secrets)


def as_config(text: str) -> DeployConfig:
    """Reads a configuration of JSON. Raises `ConfigError` where its values do not go together."""
    try:
        return DeployConfig.model_validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        what = first["msg"].removeprefix("Value error, ")
        raise ConfigError(what, where=where or None) from error


def files(spec: TrialSpec) -> tuple[Path, ...]:
    """The files and folders that a trial reads: the model, the data, and modules of the user's."""
    config = configuration(spec)
    found = io.files(config.model.path)
    for use in ("calibration", "training", "evaluation"):
        source: DataSource | None = getattr(config.data, use)
        if source is not None:
            found += [one for _, one in _paths(source)]
    own = (
        config.metric
        if isinstance(config.metric, str)
        else " ".join((config.metric or {}).values())
    )
    sources = (config.data.calibration, config.data.training, config.data.evaluation)
    if ":" in own or any(one is not None and one.python is not None for one in sources):
        found.append(Path(spec.folder))
    for item in config.stages:
        found += [one for _, one in _paths(item.options)]
    return tuple(dict.fromkeys(one for one in found if one.exists()))


def _paths(values: Any) -> Iterator[tuple[str, Path]]:
    return ((name, value) for name, value in values if isinstance(value, Path))
