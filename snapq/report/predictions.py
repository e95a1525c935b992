"""What boards are predicted to take, in words that the HTML and the terminal share."""

from __future__ import annotations

from collections.abc import Iterator

from snapq.records import PredictionRecord, RunRecord
from snapq.report.texts import call_text

__all__ = ["of_device", "text", "unlike"]


def of_device(record: RunRecord, device: str) -> tuple[PredictionRecord, ...]:
    """The predictions for a device, that of the package first."""
    return tuple(one for one in record.predictions if one.device == device)


def text(item: PredictionRecord) -> str:
    """What a prediction rests on, or why there is none."""
    if item.us is None:
        return item.reason
    each = call_text(item.us, item.batch)
    told = f"through {item.through}, 80 % interval, {item.basis}{each}"
    return ". ".join((told, *item.remarks))


def unlike(record: RunRecord) -> Iterator[PredictionRecord]:
    """The predictions that no predicted speed-up speaks of, so that they are not lost."""
    shown = {
        (one.device, label)
        for one in record.speedups
        if one.where == "predicted"
        for label in (one.candidate, one.baseline)
    }
    yield from (one for one in record.predictions if (one.device, one.label) not in shown)
