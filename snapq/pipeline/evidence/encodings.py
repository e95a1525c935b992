"""The encodings of every tensor, as the last stage that quantized or changed them wrote them."""

from __future__ import annotations

import json

from snapq.bundle import ENCODINGS
from snapq.pipeline.evidence.base import Evidence, Found, Subject
from snapq.records import EncodingRecord, Figures
from snapq.stages.base import Input, Reads

SHOWN_CHANNELS = 16


def gather(subject: Subject) -> Found:
    """Reads the encodings; of per-channel ones the first channels are kept, the bundle has all."""
    assert subject.quantized is not None
    text = (subject.quantized.folder / ENCODINGS).read_text(encoding="utf-8")
    records = (EncodingRecord.model_validate(value) for value in json.loads(text))
    shown = tuple(
        record.model_copy(
            update={
                "scale": record.scale[:SHOWN_CHANNELS],
                "zero_point": record.zero_point[:SHOWN_CHANNELS],
            }
        )
        for record in records
    )
    return Found(Figures(encodings=shown))


EVIDENCE = Evidence("encodings", Reads((Input.QUANTIZED,)), gather, kept=False)
