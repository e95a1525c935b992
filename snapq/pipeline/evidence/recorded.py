"""What stages recorded: encodings, what mixed precision found, placement, what was compiled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from snapq.bundle import ENCODINGS as ENCODINGS_FILE
from snapq.pipeline.evidence.base import Evidence, Found, Subject
from snapq.records import EncodingRecord, Figures, SensitivityRecord, TradeoffRecord
from snapq.stages.artifact import SENSITIVITY, TRADEOFF
from snapq.stages.base import Input, Reads

SHOWN_CHANNELS = 16


def encodings(subject: Subject) -> Found:
    """The encoding of every tensor, as the last stage that quantized or changed them wrote it.

    Of per-channel ones the first channels are kept; the bundle has all.
    """
    assert subject.quantized is not None
    values = json.loads((subject.quantized.folder / ENCODINGS_FILE).read_text(encoding="utf-8"))
    shown = []
    for record in map(EncodingRecord.model_validate, values):
        scale, zero_point = record.scale[:SHOWN_CHANNELS], record.zero_point[:SHOWN_CHANNELS]
        shown.append(record.model_copy(update={"scale": scale, "zero_point": zero_point}))
    return Found(Figures(encodings=tuple(shown)))


def tradeoff(subject: Subject) -> Found:
    """The sensitivity of tensors, in the model's order, and candidates, in that of the trials."""
    assert subject.quantized is not None
    folder = subject.quantized.folder
    return Found(
        Figures(
            sensitivity=tuple(map(SensitivityRecord.model_validate, _read(folder / SENSITIVITY))),
            tradeoff=tuple(map(TradeoffRecord.model_validate, _read(folder / TRADEOFF))),
        )
    )


def package(subject: Subject) -> Found:
    """Placement of nodes, what was compiled, and how the NPU's values compare with the CPU's."""
    packaged = subject.packaged
    assert packaged is not None
    return Found(
        Figures(
            placements=packaged.placements, bundle=packaged.devices, agreement=packaged.agreement
        )
    )


def _read(path: Path) -> list[Any]:
    """What is in the file; nothing where precision was not mixed."""
    found: list[Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    return found


CANDIDATES = Evidence("tradeoff", Reads((Input.QUANTIZED,)), tradeoff, kept=False)
PACKAGE = Evidence("package", Reads((Input.PACKAGE,)), package, kept=False)
EVIDENCE = (
    CANDIDATES,
    Evidence("encodings", Reads((Input.QUANTIZED,)), encodings, kept=False),
    PACKAGE,
)
