"""Whether a classical model answered its golden rows as ONNX Runtime does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from snapq.bundle.golden_rows import GoldenRows
from snapq.records.bench import BenchAnswers

__all__ = ["WRONG", "answers_met", "answers_reasons", "judged", "worst"]

WRONG = " Its answers to the golden rows are WRONG."
"""Behind the line that says where a model ran."""
Said = Mapping[str, Any]
"""Of one output: `labels`, `rows`, `equal`, `ties`, `largest`, `range`."""


def worst(said: Sequence[Mapping[str, Said]]) -> dict[str, Said]:
    """Of several processes that were asked the same, the worst of each output."""
    found: dict[str, Said] = {}
    for answers in said:
        for name, one in answers.items():
            known = found.get(name)
            if known is None or _badness(one) > _badness(known):
                found[name] = one
    return found


def _badness(one: Said) -> tuple[int, float]:
    return one["rows"] - one["equal"] - one["ties"], one["largest"]


def judged(said: Mapping[str, Said], rows: GoldenRows | None) -> Iterator[BenchAnswers]:
    """Each output, with what was allowed."""
    for name, one in said.items():
        limit = None if rows is None else rows.limit(name, one)
        yield BenchAnswers(
            output=name,
            **one,
            limit=None if limit is None else limit.largest,
            mean_limit=None if limit is None else limit.mean,
            met=None if limit is None else limit.is_met(one),
        )


def answers_met(answers: Iterable[BenchAnswers]) -> bool | None:
    """Whether all are as they must be; None where nobody knows."""
    known = [one.met for one in answers if one.met is not None]
    return all(known) if known else None


def answers_reasons(answers: Sequence[BenchAnswers], *, has_host: bool) -> Iterator[str]:
    """Why a classical model's figures are no claim."""
    if has_host and not answers:
        yield "the bundle has no golden rows, so that nobody knows whether the answers are right"
    for one in answers:
        if one.met is None:
            yield f"nobody knows how near {one.output} must be to ONNX Runtime's"
        elif not one.met and one.labels:
            yield (
                f"{one.rows - one.equal - one.ties:,} of {one.rows:,} golden rows get another "
                f"{one.output} than ONNX Runtime gives ({one.limit:,.0f} may)"
            )
        elif not one.met:
            yield (
                f"{one.output} of the golden rows is off by up to {one.largest:.3g}, in the mean "
                f"{one.mean:.3g}, from ONNX Runtime's ({one.limit:.3g} and {one.mean_limit:.3g} "
                "may be)"
            )
