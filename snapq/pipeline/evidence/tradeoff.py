"""What mixed precision found: the sensitivity of each tensor, and every candidate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from snapq.pipeline.evidence.base import Evidence, Found, Subject
from snapq.records import Figures, SensitivityRecord, TradeoffRecord
from snapq.stages.artifact import SENSITIVITY, TRADEOFF
from snapq.stages.base import Input, Reads


def gather(subject: Subject) -> Found:
    """Reads both: tensors in the model's order, candidates in that in which they were tried."""
    assert subject.quantized is not None
    folder = subject.quantized.folder
    return Found(
        Figures(
            sensitivity=tuple(map(SensitivityRecord.model_validate, _read(folder / SENSITIVITY))),
            tradeoff=tuple(map(TradeoffRecord.model_validate, _read(folder / TRADEOFF))),
        )
    )


def _read(path: Path) -> list[Any]:
    """What is in the file; nothing where precision was not mixed."""
    found: list[Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    return found


EVIDENCE = Evidence("tradeoff", Reads((Input.QUANTIZED,)), gather, kept=False)
