"""Trials that are done, ranked: which keep the limits, which are on the frontier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from snapq.searching.frontier import frontier
from snapq.searching.specs import COMPLETE, Limits, Rival, TrialOutcome

_KNOWN = 5
"""So many simulated points say how near the CPU comes."""
_WIDER = 1.25


@dataclass(frozen=True)
class Told:
    """A trial that is done.

    Attributes:
        choices: what it is, by dimension.
        outcome: what came of it.
    """

    choices: Mapping[str, Any]
    outcome: TrialOutcome


def rivals(told: Sequence[Told], limits: Limits) -> tuple[Rival, ...]:
    """The frontier of what is simulated and keeps the limits, fastest first."""
    points = [
        (one.outcome.number, (one.outcome.us, one.outcome.loss))
        for one in told
        if one.outcome.us is not None and one.outcome.loss is not None and keeps(one, limits)
    ]
    return tuple(Rival(number, us, loss) for number, (us, loss) in frontier(points))


def good(told: Sequence[Told], limits: Limits, most: int) -> list[Mapping[str, Any]]:
    """Choices of points that keep the limits: the frontier, the one behind it, up to so many."""
    left = {one.outcome.number: one for one in told if keeps(one, limits)}
    found: list[Mapping[str, Any]] = []
    while left and len(found) < most:
        found += [left.pop(one.number).choices for one in rivals([*left.values()], limits)]
    return found[:most]


def keeps(one: Told, limits: Limits) -> bool:
    """Whether a point keeps all limits."""
    outcome = one.outcome
    if outcome.state != COMPLETE or outcome.us is None or outcome.loss is None:
        return False
    return all(value <= 0 for value in beyond(outcome, limits, outcome.loss))


def beyond(outcome: TrialOutcome, limits: Limits, loss: float) -> list[float]:
    """How far a point is beyond each limit; 0 and less keeps it."""
    us, size = outcome.us or 0.0, outcome.bytes or 0
    return [
        0.0 if limits.max_us is None else us / limits.max_us - 1,
        0.0 if limits.max_bytes is None else size / limits.max_bytes - 1,
        0.0 if limits.max_drop is None else loss - limits.max_drop - 1e-9,
    ]


def margin(told: Sequence[Told]) -> float | None:
    """By how much the CPU was off the simulation at most; None while few points say so."""
    outcomes = [one.outcome for one in told]
    apart = [
        abs(one.near - one.loss)
        for one in outcomes
        if one.near is not None and one.loss is not None
    ]
    return _WIDER * max(apart) if len(apart) >= _KNOWN else None


def float_margin(told: Sequence[Told]) -> float | None:
    """By how much less points lost than the float models that they were quantized from, at most.

    None while few points say so. How far the CPU is off the simulation comes on top.
    """
    outcomes = [one.outcome for one in told]
    gains = [
        one.float_near - one.near
        for one in outcomes
        if one.near is not None and one.float_near is not None
    ]
    off = margin(told)
    return None if off is None or len(gains) < _KNOWN else off + _WIDER * max(0.0, *gains)
