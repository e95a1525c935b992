"""What mixed precision found: the damage of each tensor, and every candidate."""

from __future__ import annotations

import json
from typing import Any

from snapq.pipeline.evidence.subject import Subject
from snapq.records import SensitivityRecord, TradeoffRecord
from snapq.stages.quantize.mixing import SENSITIVITY, TRADEOFF


def sensitivity(subject: Subject) -> tuple[SensitivityRecord, ...]:
    """The damage of each tensor alone, in the model's order; empty where it was not looked for."""
    return tuple(SensitivityRecord.model_validate(value) for value in _read(subject, SENSITIVITY))


def tradeoff(subject: Subject) -> tuple[TradeoffRecord, ...]:
    """Every candidate, in the order in which they were tried; empty where there was no choice."""
    return tuple(TradeoffRecord.model_validate(value) for value in _read(subject, TRADEOFF))


def _read(subject: Subject, name: str) -> list[Any]:
    path = subject.quantized.folder / name if subject.quantized is not None else None
    if path is None or not path.is_file():
        return []
    found: list[Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
