"""What a run would do: its stages, files and devices, and what is kept from earlier runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from snapq.devices.profiles import nearest_with_estimate
from snapq.pipeline.available import available
from snapq.pipeline.cache import Cache
from snapq.pipeline.inputs import Setting
from snapq.pipeline.steps import kept


@dataclass(frozen=True)
class PlannedStage:
    """One stage: its options, and whether its result is kept already."""

    name: str
    options: dict[str, Any]
    cached: bool
    devices: tuple[str, ...] = ()
    """Which it is for, where not for all."""


@dataclass(frozen=True)
class PlannedData:
    """One set of samples."""

    use: str
    description: str
    samples: int
    random: bool


@dataclass(frozen=True)
class PlannedDevice:
    """One device, and whose estimate it gets."""

    device: str
    soc_id: int
    architecture: int
    estimated_on: str


@dataclass(frozen=True)
class Plan:
    """All of it."""

    name: str
    model: str
    inputs: dict[str, list[int]]
    boundary: list[str]
    stages: tuple[PlannedStage, ...]
    data: tuple[PlannedData, ...]
    devices: tuple[PlannedDevice, ...]
    benchmark: dict[str, Any] | None
    gates: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The plan as JSON values."""
        return asdict(self)


def make_plan(chosen: Setting, cache: Cache) -> Plan:
    """Says what a run with this setting would do, without doing it."""
    config = chosen.config
    data = (
        ("calibration", chosen.calibration),
        ("training", chosen.training),
        ("evaluation", chosen.evaluation),
    )
    return Plan(
        name=config.name,
        model=str(config.model.path),
        inputs={spec.name: list(spec.shape) for spec in chosen.inputs},
        boundary=chosen.boundary.describe(),
        stages=tuple(
            PlannedStage(
                step.name,
                step.options.model_dump(mode="json") if step.options else {},
                artifact is not None,
                devices,
            )
            for step, devices, artifact in kept(chosen, available(chosen), cache)
        ),
        data=tuple(
            PlannedData(use, samples.description, len(samples), samples.random)
            for use, samples in data
            if samples is not None
        ),
        devices=tuple(
            PlannedDevice(
                device.name, device.soc_id, device.architecture, nearest_with_estimate(device).name
            )
            for device in chosen.devices
        ),
        benchmark=config.benchmark.model_dump(mode="json") if config.benchmark else None,
        gates=config.gates.model_dump(mode="json", exclude_none=True),
    )
