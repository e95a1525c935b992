"""The record of a whole run, with its provenance, stages, gates and bundle."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from snapq.records.base import Record
from snapq.records.bench import BenchRecord
from snapq.records.figures import (
    AccuracyRecord,
    EstimateRecord,
    FidelityRecord,
    LatencyRecord,
    PlacementRecord,
    SpeedupRecord,
    StepRecord,
)
from snapq.records.tensors import EncodingRecord, LayerRecord, SensitivityRecord, TradeoffRecord

SCHEMA = "snapq.run/1"


class Provenance(Record):
    """What made the run: versions, machine, inputs."""

    snapq: str
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


class FileRecord(Record):
    """One file: where it is (relative to the run directory) and how large."""

    path: str
    sha256: str
    bytes: int
    bytes_compressed: int
    """Size after zlib level 6: what a download costs."""


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


class GateRecord(Record):
    """A limit, what was found, and whether it held."""

    name: str
    limit: str
    found: str
    passed: bool


class BundleTargetRecord(Record):
    """One compiled target of a bundle."""

    device: str
    soc_id: int
    architecture: int
    vtcm_mb: int | None
    files: tuple[FileRecord, ...]
    options: dict[str, str]
    candidates: tuple[dict[str, Any], ...] = ()
    """Compile options that were tried, each with its estimate."""
    reload: str
    """What the reload in a fresh process showed, one sentence."""
    qairt: str


class RunRecord(Record):
    """The whole of `run.json`."""

    schema_version: str = SCHEMA
    name: str
    started_at: str
    seconds: float
    finished: bool
    """False while the run goes on, or where it was ended early."""
    provenance: Provenance
    config: dict[str, Any]
    model: FileRecord
    devices: tuple[str, ...]
    """What the run compiled for; `targets` in files of version 0.1."""
    stages: tuple[StageRecord, ...] = ()
    accuracy: tuple[AccuracyRecord, ...] = ()
    fidelity: tuple[FidelityRecord, ...] = ()
    estimates: tuple[EstimateRecord, ...] = ()
    placements: tuple[PlacementRecord, ...] = ()
    latencies: tuple[LatencyRecord, ...] = ()
    speedups: tuple[SpeedupRecord, ...] = ()
    benches: tuple[BenchRecord, ...] = ()
    """The benchmark on a board in full, apart from the single latencies: those are in
    `measurements/benches.json`."""
    layers: tuple[LayerRecord, ...] = ()
    steps: tuple[StepRecord, ...] = ()
    """Empty where no stage cuts or trains the model."""
    sensitivity: tuple[SensitivityRecord, ...] = ()
    tradeoff: tuple[TradeoffRecord, ...] = ()
    encodings: tuple[EncodingRecord, ...] = ()
    bundle: tuple[BundleTargetRecord, ...] = ()
    bundle_files: tuple[FileRecord, ...] = ()
    gates: tuple[GateRecord, ...] = ()
    notes: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _former_names(cls, values: Any) -> Any:
        if isinstance(values, dict) and "targets" in values and "devices" not in values:
            return {"devices" if name == "targets" else name: v for name, v in values.items()}
        return values
