"""How much worse a figure has become, in the unit of its limit, and how that reads."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from snapq.comparison.contents import Figure, Kind
from snapq.metric_table import drop
from snapq.report import formatting as fmt


@dataclass(frozen=True)
class Change:
    """A change.

    Attributes:
        worse: how much worse, in the unit of the limit; below 0 it is better.
        text: the change in words.
        limit: writes a limit in words.
    """

    worse: float
    text: str
    limit: Callable[[float], str]


def _accuracy(before: Figure, after: Figure) -> Change:
    metric = before.name
    change = after.value - before.value
    worse = 0.0 if before.value == after.value else drop(metric, before.value, after.value)
    text = fmt.metric_change(metric, change)
    return Change(worse, text, lambda limit: f"drop of at most {limit:g}")


def _answers(before: Figure, after: Figure) -> Change:
    change = after.value - before.value
    text = f"{change * 100:+.2f} points"
    return Change(-change, text, lambda limit: f"drop of at most {limit:g}")


def _sqnr(before: Figure, after: Figure) -> Change:
    same = before.value == after.value  # also where both are infinite
    change = 0.0 if same else after.value - before.value
    text = f"{change:+.1f} dB" if math.isfinite(change) else fmt.decibels(change)
    return Change(-change, text, lambda limit: f"drop of at most {limit:g} dB")


def _growth(before: Figure, after: Figure) -> Change:
    if before.value == after.value:
        growth = 0.0
    else:
        growth = after.value / before.value - 1 if before.value else math.inf
    text = f"{growth * 100:+.1f} %" if math.isfinite(growth) else "grew from nothing"
    return Change(growth, text, lambda limit: f"growth of at most {limit * 100:g} %")


def _placement(before: Figure, after: Figure) -> Change:
    added = round(after.value - before.value)
    text = f"{added:+d} on the CPU" if added else "the same"
    return Change(added, text, lambda limit: f"at most {limit:g} more on the CPU")


def _latency(before: Figure, after: Figure) -> Change:
    ratio = after.value / before.value if before.value else math.inf
    # `snapq.benchmarking.history.compare` judges the ratio with its interval.
    return Change(0.0, f"{ratio:.3f} times", lambda limit: f"at most {limit:g} times")


JUDGES: dict[Kind, Callable[[Figure, Figure], Change]] = {
    Kind.ACCURACY: _accuracy,
    Kind.ANSWERS: _answers,
    Kind.SQNR: _sqnr,
    Kind.SIZE: _growth,
    Kind.ESTIMATE: _growth,
    Kind.PREDICTION: _growth,
    Kind.PLACEMENT: _placement,
    Kind.LATENCY: _latency,
    Kind.INSTRUCTIONS: _growth,
}
