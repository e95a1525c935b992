"""The record of `snapq analyze`."""

from __future__ import annotations

from snapq.records.base import Origin, Record
from snapq.records.figures import EstimateRecord
from snapq.records.tensors import SensitivityRecord


class AnalysisRecord(Record):
    """What `snapq analyze` found of one model at one precision."""

    model: str
    precision: str
    device: str
    where: Origin
    """How the outputs were computed."""
    samples: int
    dataset: str
    random_inputs: bool
    sqnr_db: float
    """All quantized together, at the output with the lowest SQNR, energies summed over samples."""
    items: tuple[SensitivityRecord, ...]
    """In the model's order."""
    estimate: EstimateRecord | None = None
    notes: tuple[str, ...] = ()
