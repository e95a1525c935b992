"""How many channels to take for an estimated time: measured on candidate cuts, a bounded number.

Time does not follow arithmetic: a layer gains in steps, and some layers gain nothing. So cuts of
single groups are measured first; their gains, added up, say what a plan of several groups would
take. The plan that this points to is measured, the sum is corrected by what was off, and so on. At
the end channels are given back where the time allows it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import onnx_ir as ir

from snapq.pruning.budget import Limits, Plan, counts, greedy, removed
from snapq.pruning.groups import Structure
from snapq.pruning.importance import Ranking
from snapq.pruning.surgery import cut

Estimate = Callable[[ir.Model], float]
"""Microseconds that the NPU is expected to take for a model."""

_CORRECTIONS = 6
"""Whole plans that are measured at most before channels are given back."""
_NEAR = 0.002
"""A plan that is under the goal by less than this share of it is near enough."""


@dataclass(frozen=True)
class Probe:
    """A candidate cut that was measured.

    Attributes:
        plan: channels cut by group; groups that are whole are left out.
        us: its estimate in microseconds.
    """

    plan: Plan
    us: float


@dataclass
class Watch:
    """Measures candidate cuts, each once, and keeps count.

    Attributes:
        structure: the channels of the model.
        rankings: their order in each group.
        estimate: measures a model.
        limit: how many models may be measured.
        advance: told of each measurement.
        jobs: how many models are measured side by side; a compiler takes one core.
        probes: what was measured so far.
    """

    structure: Structure
    rankings: Sequence[Ranking]
    estimate: Estimate
    limit: int
    advance: Callable[[int], None]
    jobs: int = field(default_factory=lambda: min(8, os.cpu_count() or 1))
    probes: list[Probe] = field(default_factory=list)

    @property
    def left(self) -> int:
        """How many measurements are left."""
        return self.limit - len(self.probes)

    def measure(self, plan: Plan) -> float:
        """The estimate of a plan's model, in microseconds."""
        return self.measure_all([plan])[0]

    def measure_all(self, plans: Sequence[Plan]) -> list[float]:
        """The estimates of several plans' models, side by side."""
        wanted = [{name: count for name, count in plan.items() if count} for plan in plans]
        known = [probe.plan for probe in self.probes]
        new = [plan for i, plan in enumerate(wanted) if plan not in known + wanted[:i]]
        with ThreadPoolExecutor(self.jobs) as pool:
            for plan, us in zip(new, pool.map(self._estimate, new), strict=True):
                self.probes.append(Probe(plan, us))
        return [next(p.us for p in self.probes if p.plan == plan) for plan in wanted]

    def _estimate(self, plan: Plan) -> float:
        us = self.estimate(cut(self.structure, removed(self.rankings, plan)))
        self.advance(1)
        return us


class Gains:
    """What cuts of single groups gain, measured at a few counts and drawn straight in between."""

    def __init__(self, watch: Watch, limits: Limits) -> None:
        self.whole = watch.measure({})
        spare = watch.left - watch.limit // 3
        singles = list(islice(_schedule(watch.rankings, limits), max(spare, 0)))
        measured = watch.measure_all([{ranking.group.name: count} for ranking, count in singles])
        self._points: dict[str, tuple[list[int], list[float]]] = {}
        for (ranking, count), us in zip(singles, measured, strict=True):
            at, gains = self._points.get(ranking.group.name, ([0], [0.0]))
            pairs = sorted(zip([*at, count], [*gains, self.whole - us], strict=True))
            self._points[ranking.group.name] = [p[0] for p in pairs], [p[1] for p in pairs]

    def price(self, plan: Plan) -> float:
        """What the gains, added up, say of a plan, in microseconds."""
        return self.whole - sum(self._gain(name, count) for name, count in plan.items() if count)

    def _gain(self, name: str, count: int) -> float:
        if name not in self._points:
            return 0.0
        at, gains = self._points[name]
        return float(np.interp(count, at, np.maximum.accumulate(gains)))


def _schedule(rankings: Sequence[Ranking], limits: Limits) -> Iterator[tuple[Ranking, int]]:
    """Which cuts of single groups to measure, the most telling first.

    The largest cut of every group, then the middle one, then the quarters.
    """
    given: set[tuple[str, int]] = set()
    for share in (1.0, 0.5, 0.25, 0.75, 0.0):
        for ranking in rankings:
            options = counts(ranking.group, limits)[1:]
            if not options:
                continue
            count = options[round(share * (len(options) - 1))]
            if (ranking.group.name, count) not in given:
                given.add((ranking.group.name, count))
                yield ranking, count


def fit(watch: Watch, limits: Limits, goal: float) -> tuple[Plan, float]:
    """The plan with the least loss found whose estimate is `goal` microseconds or less.

    Returns:
        The plan and its estimate; the fastest plan found where none reaches the goal.
    """
    if (whole := watch.measure({})) <= goal:
        return {}, whole
    gains = Gains(watch, limits)
    found: list[tuple[float, Plan]] = [(gains.whole, {})]
    aim = goal
    for _ in range(_CORRECTIONS):
        plan: Plan = {}
        for plan in greedy(watch.rankings, limits, gains.price, aim):  # noqa: B007
            pass
        if watch.left <= 0 or any(plan == earlier for _, earlier in found):
            break
        us = watch.measure(plan)
        found.append((us, plan))
        if 0 <= goal - us < goal * _NEAR:
            break
        aim -= us - goal
    reached = [(us, plan) for us, plan in found if us <= goal]
    if not reached:
        us, plan = min(found, key=lambda item: item[0])
        return plan, us
    us, plan = min(reached, key=lambda item: _loss(watch.rankings, item[1]))
    return _give_back(watch, limits, goal, plan, us)


def _give_back(
    watch: Watch, limits: Limits, goal: float, plan: Plan, us: float
) -> tuple[Plan, float]:
    """Gives groups a step back, the costliest first, as long as the goal is kept."""
    by_name = {ranking.group.name: ranking for ranking in watch.rankings}
    refused: set[str] = set()
    while watch.left > 0:
        steps = []
        for name, count in plan.items():
            ranking = by_name[name]
            fewer = [c for c in counts(ranking.group, limits) if c < count]
            if fewer and name not in refused:
                saved = float(ranking.loss[count] - ranking.loss[fewer[-1]])
                steps.append((saved, name, fewer[-1]))
        if not steps:
            break
        _, name, count = max(steps)
        trial = {**plan, name: count}
        found = watch.measure(trial)
        if found <= goal:
            plan, us = trial, found
        else:
            refused.add(name)
    return plan, us


def _loss(rankings: Sequence[Ranking], plan: Plan) -> float:
    return sum(float(ranking.loss[plan.get(ranking.group.name, 0)]) for ranking in rankings)
