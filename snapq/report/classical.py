"""What reports show of classical models: equal answers, estimators, columns, and the advice."""

from __future__ import annotations

from collections.abc import Iterator

from snapq.records import AdviceRecord, AnswersRecord, ImportanceRecord, RunRecord
from snapq.report import formatting as fmt

__all__ = ["advice_value", "answers_text", "answers_title", "answers_value", "shown_columns"]

_COLUMNS = 30


def answers_title(item: AnswersRecord) -> str:
    """`Labels equal to ONNX Runtime's, w8a8 on qcs9075`."""
    what = "Labels equal to ONNX Runtime's" if item.labels else f"Largest error of {item.output}"
    return f"{what}, {item.label}{f' on {item.device}' if item.device else ''}"


def answers_value(item: AnswersRecord) -> str:
    """`540 of 540`, or an error as a share of the range of values."""
    if item.labels:
        return f"{fmt.integer(item.equal)} of {fmt.integer(item.rows)}"
    if item.range <= 0:
        return fmt.number(item.largest)
    return f"{item.largest / item.range:.2g} of the range"


def answers_text(item: AnswersRecord) -> str:
    """What the value rests on."""
    parts = [f"output {item.output}"] if item.labels else []
    if item.labels and item.rows - item.equal:
        ties = fmt.plural(item.ties, "of the others is a tie", "of the others are ties")
        parts.append(f"{ties} (two scores within 1e-6)")
    if item.rounded:
        parts.append(
            f"{fmt.integer(item.rounded)} of the others as float64 has them, where ONNX Runtime's "
            "float32 sums are off"
        )
    if not item.labels:
        parts.append(f"{fmt.number(item.largest)} in {fmt.number(item.range)}")
        if item.sqnr_db is not None:
            parts.append(f"SQNR {item.sqnr_db:.1f} dB behind the tail")
        parts.append(
            f"{fmt.integer(item.equal)} of {fmt.integer(item.rows)} rows equal in each bit"
        )
    parts.append(item.dataset + (", random inputs" if item.random_inputs else ""))
    return "; ".join(parts)


def advice_value(item: AdviceRecord) -> str:
    """`NPU` or `CPU`, with the gain."""
    gain = item.cpu_us / (item.npu_us + item.call_us + item.host_us)
    where = "NPU" if item.npu else "CPU"
    return f"{where} at {fmt.plural(item.rows, 'row')} (CPU over NPU: {fmt.number(gain)})"


def shown_columns(record: RunRecord) -> Iterator[ImportanceRecord]:
    """The columns that trees ask for most, the first of each estimator."""
    yield from record.importances[:_COLUMNS]
