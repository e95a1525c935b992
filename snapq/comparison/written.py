"""A comparison as JUnit XML, and as Markdown for a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from snapq.benchmarking.history.compare import Comparison
from snapq.benchmarking.history.junit import Case, suite
from snapq.benchmarking.history.junit import junit as junit_of_measurements
from snapq.comparison.compare import Row, RunComparison
from snapq.report.formatting import plain

_VERDICTS = {True: "ok", False: "**worse**", None: ""}
_SPECIAL = re.compile(r"[\\`*_{}\[\]<>#|~]")


def junit(comparison: Comparison | RunComparison) -> str:
    """The comparison as a test suite; figures without a limit are skipped cases."""
    if isinstance(comparison, Comparison):
        return junit_of_measurements(comparison)
    cases = [Case(row.what, found(row), row.passed) for row in comparison.rows]
    name = comparison.after.deployment or comparison.after.title
    return suite(f"{name}, {comparison.before.title} to {comparison.after.title}", cases)


def found(row: Row) -> str:
    """A row as one sentence: `224 µs before, 240 µs now (+7.1 %), growth of at most 5 %`."""
    sides = [f"{row.before} before"] * bool(row.before) + [f"{row.after} now"] * bool(row.after)
    change = f" ({row.change})" if row.change else ""
    more = [text for text in (row.limit, row.remark) if text]
    return ", ".join([", ".join(sides) + change, *more]) if sides else ", ".join(more)


def markdown(comparison: Comparison | RunComparison) -> str:
    """The comparison as a heading, a table and what else is to be known."""
    if isinstance(comparison, Comparison):
        before, after = comparison.before, comparison.after
        head = f"{after.model.label} on {after.target.name}"
        rows: Iterable[Sequence[str]] = (
            (_VERDICTS[check.passed], check.name, check.found) for check in comparison.checks
        )
        titles: tuple[str, ...] = ("", "check", "found")
        sides = f"{before.run_id[:8]} to {after.run_id[:8]}"
    else:
        head = comparison.after.deployment or comparison.after.title
        rows = (_cells(row) for row in comparison.rows)
        titles = ("", "figure", "before", "after", "change", "limit")
        sides = f"{comparison.before.title} to {comparison.after.title}"
    verdict = "within the limits" if comparison.passed else "worse than the limits allow"
    if isinstance(comparison, RunComparison) and not comparison.judged:
        verdict = "compared, and judged by no limit"
    lines = [f"### snapq: {_text(head)} is {verdict}", "", _text(sides), "", *_table(titles, rows)]
    if comparison.remarks:
        lines += ["", *(f"- {_text(remark)}" for remark in comparison.remarks)]
    return "\n".join(lines) + "\n"


def _cells(row: Row) -> tuple[str, ...]:
    limit = f"{row.limit}: {row.remark}" if row.remark else row.limit
    return _VERDICTS[row.passed], row.what, row.before, row.after, row.change, limit


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(titles)} |"
    yield f"|{'---|' * len(titles)}"
    for first, *others in rows:  # the verdict is ours, and has marks
        yield f"| {' | '.join((first, *map(_text, others)))} |"


def _text(value: Any) -> str:
    """Text of models and folders, which must not be Markdown."""
    return _SPECIAL.sub(lambda mark: f"\\{mark[0]}", plain(str(value)))


def values(comparison: Comparison | RunComparison) -> dict[str, Any]:
    """The comparison in JSON's types."""
    if isinstance(comparison, Comparison):
        return {
            "ratio": comparison.ratio,
            "interval": comparison.interval,
            "passed": comparison.passed,
            "remarks": comparison.remarks,
            "checks": [vars(check) for check in comparison.checks],
        }
    return {
        "before": str(comparison.before.path),
        "after": str(comparison.after.path),
        "passed": comparison.passed,
        "remarks": comparison.remarks,
        "rows": [vars(row) for row in comparison.rows],
    }
