"""Answers of a classical model that are not ONNX Runtime's: what is told, and what fails."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from snapq.records import AnswersRecord, GateRecord
from snapq.records.bench import BenchRecord

__all__ = ["answer_notes", "fewest_by_itself", "worst_answers", "wrong_on_target"]

_LEAST_LABELS = 0.99
"""Share of labels that 16 bits keep of an SVM or a linear model that they suit."""
_LEAST_VALUES = 0.97
"""The same of a regression: 1 - largest error / range."""
_FEW = 1
"""Rows with another label that fail no run by themselves: of 89 rows one is 1.1 %."""


def worst_answers(answers: Sequence[AnswersRecord], precision: str) -> AnswersRecord | None:
    """The output with the lowest share of equal answers; values count where there are no labels."""
    records = [one for one in answers if one.label == precision]
    records = [one for one in records if one.labels] or records
    return min(records, key=lambda record: record.share, default=None)


def fewest_by_itself(answers: Sequence[AnswersRecord], precision: str) -> float | None:
    """The limit that a package of 16 bits or of trees fails, where the YAML names none.

    8 bits lose more labels by nature: that is told, and fails nothing that was not asked for.
    """
    worst = worst_answers(answers, precision)
    if worst is None or worst.random_inputs or not precision.endswith(("a16", "fp16")):
        return None
    if _enough(worst) or (worst.labels and _other(worst) <= _FEW):
        return None
    return _LEAST_LABELS if worst.labels else _LEAST_VALUES


def answer_notes(answers: Sequence[AnswersRecord], precision: str) -> Iterator[str]:
    """A sentence where answers are others than ONNX Runtime's, with what to do about it."""
    worst = worst_answers(answers, precision)
    if worst is None or _enough(worst):
        return
    if worst.labels:
        what = f"{_other(worst):,} of {worst.rows:,} labels of '{worst.output}' are not"
    else:
        error = worst.largest / worst.range if worst.range > 0 else 1.0
        what = f"Values of '{worst.output}' are up to {error:.1%} of their range away from"
    on = f" on {worst.device}" if worst.device else ""
    yield f"{what} ONNX Runtime's at {precision}{on}. {_hint(precision)}"


def wrong_on_target(benches: Sequence[BenchRecord]) -> Iterator[GateRecord]:
    """What fails where a benchmark's target answered golden rows wrongly, whatever is asked for."""
    for bench in benches:
        for one in bench.answers:
            if one.met is False and one.labels:
                others = one.rows - one.equal - one.ties
                found = f"another {one.output} in {others:,} of {one.rows:,} golden rows"
                yield _wrong(bench, found, f"at most {one.limit:,.0f}")
            elif one.met is False:
                found = (
                    f"another {one.output} by up to {one.largest:.3g}, {one.mean:.3g} in the mean,"
                )
                yield _wrong(bench, found, f"at most {one.limit:.3g}, {one.mean_limit:.3g}")


def _wrong(bench: BenchRecord, found: str, limit: str) -> GateRecord:
    label, place = bench.model.label, bench.target.name
    return GateRecord(
        name="golden_rows",
        limit=limit,
        found=f"{found} than ONNX Runtime's, {label} on {place} ({bench.where})",
        passed=False,
    )


def _enough(record: AnswersRecord) -> bool:
    return record.share >= (_LEAST_LABELS if record.labels else _LEAST_VALUES)


def _other(record: AnswersRecord) -> int:
    return record.rows - record.equal - record.ties - record.rounded


def _hint(precision: str) -> str:
    cpu = "cpu.onnx of the bundle answers as ONNX Runtime does"
    if precision.endswith("a8"):
        return f"`quantize: {{precision: w8a16}}`, or fp16 without `quantize`, keep more; {cpu}."
    large = (
        "Small differences of large sums need more than 16 bits: scale the features before the "
        "model is trained (StandardScaler), or train with a larger gamma or a smaller C"
    )
    wider = "`quantize: {precision: w8a16}` keeps more of some; " if precision == "fp16" else ""
    return f"{large}; {wider}{cpu}."
