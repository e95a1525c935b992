"""What every record is: a value that is written once, and the word that says where it came from."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A value that is written once and never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")
    # `model_dump_json` then writes an infinite SQNR (identical tensors) as valid JSON, "Infinity".

    def to_json(self) -> dict[str, Any]:
        """The record in JSON's types."""
        values: dict[str, Any] = json.loads(self.model_dump_json())
        return values


class Origin(StrEnum):
    """How a number came to be; a number is never shown without it."""

    HOST = "host"
    """Values computed by ONNX Runtime on this machine's CPU."""
    SIMULATED = "simulated"
    """Values computed by Qualcomm's HTP simulator, exact for the architecture."""
    ESTIMATED = "estimated"
    """Qualcomm's Performance Estimate."""
    PREDICTED = "predicted"
    """A board's latency, by a fit of estimates to public latencies; always with its interval."""
    EMULATED = "emulated"
    """Run under QEMU: right values, meaningless time."""
    MEASURED = "measured"
    """Timed on real hardware."""
