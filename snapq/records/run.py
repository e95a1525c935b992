"""The record of a run, with its provenance, stages, gates and bundle."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from snapq.records.base import Record
from snapq.records.figures import Figures, FileRecord

SCHEMA = "snapq.run/1"


class Provenance(Record):
    """What made the run: versions, machine, inputs."""

    snapq: str
    build: str | None = None
    """The commit that snapq was built from; None of a checkout."""
    python: str
    platform: str
    cpu: str
    versions: dict[str, str]
    """Distribution name to version, of every library whose output is in the run."""
    qairt: str | None
    """Build of Qualcomm's runtime, from the compiled binary."""
    command: tuple[str, ...]
    started_at: str
    """ISO 8601, UTC."""
    config_sha256: str
    model_sha256: str
    calibration_sha256: str | None = None
    evaluation_sha256: str | None = None


class StageRecord(Record):
    """One stage of the pipeline."""

    index: int
    name: str
    config: dict[str, Any]
    seconds: float
    cached: bool
    model: FileRecord
    notes: tuple[str, ...] = ()
    """Sentences for the reader: what the stage changed, what it could not do and why."""
    details: dict[str, Any] = Field(default_factory=dict)
    """Figures of this stage alone (passes applied, node counts, compile options tried)."""
    devices: tuple[str, ...] = ()
    """The devices that it is for, where they have packages of their own."""


class GateRecord(Record):
    """A limit, what was found, and whether it held."""

    name: str
    limit: str
    found: str
    passed: bool


class _Head(Record):
    """What stands first in `run.json`."""

    schema_version: str = SCHEMA
    name: str
    started_at: str
    seconds: float
    finished: bool
    """False while the run is in progress, and where it was interrupted."""
    provenance: Provenance
    config: dict[str, Any]
    model: FileRecord
    devices: tuple[str, ...]
    """What the run compiled for; `targets` in files of version 0.1."""
    stages: tuple[StageRecord, ...] = ()


class RunRecord(Figures, _Head):
    """`run.json`."""

    bundle_files: tuple[FileRecord, ...] = ()
    gates: tuple[GateRecord, ...] = ()
    notes: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _former_names(cls, values: Any) -> Any:
        if isinstance(values, dict) and "targets" in values and "devices" not in values:
            return {"devices" if name == "targets" else name: v for name, v in values.items()}
        return values
