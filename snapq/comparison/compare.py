"""Compares two runs or bundles, figure by figure, and judges those that have a limit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from snapq.benchmarking.history.compare import compare as compare_records
from snapq.comparison.contents import Contents, Figure, Kind
from snapq.comparison.judge import JUDGES
from snapq.comparison.limits import Limits
from snapq.comparison.text import shown, title
from snapq.errors import ConfigError

_EPSILON = 1e-9


@dataclass(frozen=True)
class Row:
    """One figure of both.

    Attributes:
        what: its name.
        before: the older value, as text; empty where there is none.
        after: the newer one.
        change: from the one to the other.
        limit: how much worse it may be; empty where nobody said.
        passed: whether it keeps the limit; None where it has none.
        remark: why it fails, where the numbers alone do not say it.
    """

    what: str
    before: str
    after: str
    change: str
    limit: str
    passed: bool | None
    remark: str = ""


@dataclass(frozen=True, repr=False)
class RunComparison:
    """Two runs or bundles side by side.

    Attributes:
        before: the older one.
        after: the newer one.
        rows: every figure of either.
        remarks: what else is to be known of both.
    """

    before: Contents
    after: Contents
    rows: tuple[Row, ...]
    remarks: tuple[str, ...]

    def __repr__(self) -> str:
        worse = sum(row.passed is False for row in self.rows)
        found = f"{worse} out of their limits" if worse else "none out of its limit"
        between = f"{self.before.title} to {self.after.title}"
        return f"<RunComparison {between}: {len(self.rows)} figures, {found}>"

    @property
    def passed(self) -> bool:
        """Whether every figure keeps its limit."""
        return all(row.passed is not False for row in self.rows)

    @property
    def judged(self) -> bool:
        """Whether any figure has a limit."""
        return any(row.passed is not None for row in self.rows)


def compare_contents(
    before: Contents, after: Contents, limits: Limits, *, other_model: bool = False
) -> RunComparison:
    """Compares two runs or bundles.

    Raises:
        ConfigError: they are of two models, and `other_model` does not allow that.
    """
    unlike = _another_model(before, after)
    if unlike and not other_model:
        raise ConfigError(
            f"Another model: {unlike}",
            where=str(after.path),
            hint="Compare runs of one deployment, or allow it: --other-model (other_model=True).",
        )
    remarks = ((f"Another model: {unlike}",) if unlike else ()) + tuple(_remarks(before, after))
    found = tuple(_rows(before, after, limits))
    judged = {kind.limit for kind, row in found if row.passed is not None}
    unmet = (_unjudged(name) for name in limits.given if name not in judged)
    return RunComparison(before, after, (*(row for _, row in found), *unmet), remarks)


def _another_model(before: Contents, after: Contents) -> str:
    one, other = before.deployment, after.deployment
    if one is None or other is None or one == other:
        return ""
    return f"deployment: {one} before, {other} now."


def _remarks(before: Contents, after: Contents) -> Iterator[str]:
    for side, one in (("older", before), ("newer", after)):
        if one.alone:
            unsaid = "" if one.deployment else "does not say which deployment it is of, and "
            yield (
                f"The {side} bundle stands alone: it {unsaid}has sizes and estimates only. A run "
                "directory has the rest."
            )
        if one.random_inputs:
            yield f"RANDOM INPUTS: figures of the {side} one say nothing about accuracy."
    if None not in (before.given_sha256, after.given_sha256):
        if before.given_sha256 != after.given_sha256:
            older, newer = str(before.given_sha256)[:8], str(after.given_sha256)[:8]
            yield f"The model as given is another version: {older} before, {newer} now."
        if before.evaluation_sha256 != after.evaluation_sha256:
            yield "Evaluated on other samples: accuracy and SQNR cannot be compared."
    if before.precision != after.precision:
        yield f"Precision: {before.precision} before, {after.precision} now."
    for name in before.versions.keys() & after.versions.keys():
        if before.versions[name] != after.versions[name]:
            yield f"{name}: {before.versions[name]} before, {after.versions[name]} now."
    if after.failed_gates:
        yield f"The newer run failed its own gates: {', '.join(after.failed_gates)}."


def _rows(before: Contents, after: Contents, limits: Limits) -> Iterator[tuple[Kind, Row]]:
    older = {figure.key: figure for figure in before.figures}
    newer = {figure.key: figure for figure in after.figures}
    other_data = before.evaluation_sha256 != after.evaluation_sha256
    for key in dict.fromkeys((*older, *newer)):
        kind, label = key[0], key[-1]
        # What ships is judged, and not what it is compared with.
        limit = None if label else limits.given.get(kind.limit)
        one, other = older.get(key), newer.get(key)
        if one is None or other is None:
            yield kind, _one_sided(one, other, limit)
        else:
            yield kind, _both(one, other, limit, other_data and kind.rests_on_data)


def _both(one: Figure, other: Figure, limit: float | None, other_data: bool) -> Row:
    change = JUDGES[one.kind](one, other)
    if limit is None:
        return Row(title(one), shown(one), shown(other), change.text, "", None)
    remark = "evaluated on other samples" if other_data else _unlike(one, other, limit)
    passed = not remark and change.worse <= limit + _EPSILON
    words = change.limit(limit)
    return Row(title(one), shown(one), shown(other), change.text, words, passed, remark)


def _unlike(one: Figure, other: Figure, limit: float) -> str:
    """Why the two figures must not be judged; empty where they may."""
    if one.source != other.source:
        predicted = one.kind is Kind.PREDICTION
        rests = "prediction rests on the estimate" if predicted else "estimate is that"
        return f"the {rests} of {one.source} before and of {other.source} now"
    if one.bench is None or other.bench is None:
        return ""
    factor = limit if one.kind is Kind.LATENCY else 1 + limit
    found = compare_records(one.bench, other.bench, factor, other_model=True)
    # The ratio is judged there too, by its interval: chance makes no slow-down.
    return "; ".join(f"{check.name}: {check.found}" for check in found.checks if not check.passed)


def _one_sided(one: Figure | None, other: Figure | None, limit: float | None) -> Row:
    """A figure that only one of both has: where it is judged, it must not vanish."""
    figure = other if one is None else one
    assert figure is not None
    lost = one is not None and limit is not None
    return Row(
        title(figure),
        "" if one is None else shown(one),
        "" if other is None else shown(other),
        "new" if one is None else "missing now",
        "" if limit is None else "must be there",
        False if lost else None,
        "the newer one has no such figure" if lost else "",
    )


def _unjudged(limit: str) -> Row:
    """A limit without a figure to judge has failed."""
    return Row(limit, "", "", "", "needs a figure", False, "the older one has no such figure")
