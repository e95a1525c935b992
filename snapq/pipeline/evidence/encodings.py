"""The encodings of every tensor, as the quantize stage wrote them."""

from __future__ import annotations

import json

from snapq.pipeline.evidence.subject import Subject
from snapq.records import EncodingRecord
from snapq.stages.quantize.stage import ENCODINGS

SHOWN_CHANNELS = 16


def prove(subject: Subject) -> tuple[EncodingRecord, ...]:
    """Reads the encodings; of per-channel ones the first channels are kept, the bundle has all."""
    if subject.quantized is None:
        return ()
    text = (subject.quantized.folder / ENCODINGS).read_text(encoding="utf-8")
    records = (EncodingRecord.model_validate(value) for value in json.loads(text))
    return tuple(
        record.model_copy(
            update={
                "scale": record.scale[:SHOWN_CHANNELS],
                "zero_point": record.zero_point[:SHOWN_CHANNELS],
            }
        )
        for record in records
    )
