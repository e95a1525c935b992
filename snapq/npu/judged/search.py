"""The search among forms of one network: which of several changes make it faster by the estimate.

No change of a graph is faster on every chip and in every network: the compiler places and orders
what it is given by rules of its own. So changes that leave the results alone are tried, within a
number of compiles, and those are kept with which the estimate is lower.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from snapq.errors import QnnError, SnapqError
from snapq.records import EstimateRecord
from snapq.runtime import processors

__all__ = [
    "LEAST_GAIN",
    "MOST_LOSS",
    "Chosen",
    "Costs",
    "Found",
    "Trial",
    "WholeFigures",
    "fastest",
    "is_faster",
    "side_by_side",
]

S = TypeVar("S")
T = TypeVar("T")

LEAST_GAIN = 0.01
"""Share of the time that a change has to win: less than that is not seen on a board."""
MOST_LOSS = 0.01
"""Share of the time that one device may lose by what several devices win by."""

Costs = Mapping[str, float]
"""Estimated microseconds by device."""
Chosen = tuple[str, ...]
"""Names of changes that are made together."""
Ask = Callable[[Sequence[Chosen]], Sequence[Costs | SnapqError]]
"""What the network takes in each of some forms, or why there is no figure of one."""


@dataclass(frozen=True)
class Trial:
    """A form that was tried: the changes in it, and its estimate or why there is none."""

    chosen: Chosen
    costs: Costs | None
    failure: str | None = None


@dataclass(frozen=True)
class Found:
    """What came of a search.

    Attributes:
        chosen: the changes that are kept.
        costs: the estimate with them; None where the network has none in any form.
        trials: all that was tried, first the network without any of the changes.
        untried: the changes for which there were too few tries.
    """

    chosen: Chosen
    costs: Costs | None
    trials: tuple[Trial, ...]
    untried: Chosen = ()

    @property
    def start(self) -> Costs | None:
        """The estimate without any of the changes."""
        return self.trials[0].costs

    @property
    def left(self) -> Chosen:
        """The changes that were tried and are not kept."""
        tried = dict.fromkeys(name for trial in self.trials for name in trial.chosen)
        return tuple(name for name in tried if name not in self.chosen)

    def details(self, kept: str = "kept", changed: str = "with") -> dict[str, Any]:
        """What was tried and kept, as JSON values, under these keys."""
        return {
            kept: list(self.chosen),
            "tried": [
                {changed: list(one.chosen), "us": one.costs and dict(one.costs), "why": one.failure}
                for one in self.trials
            ],
        }

    def gains(self) -> str:
        """`725.2 → 643.2 µs estimated on sa8797p`, for each device; of what is kept."""
        return ", ".join(
            f"{self.start[device]:,.1f} → {cost:,.1f} µs estimated on {device}"
            if self.start is not None
            else f"{cost:,.1f} µs estimated on {device}, where it does not compile as it is"
            for device, cost in (self.costs or {}).items()
        )

    def best_of(self, device: str) -> float:
        """The lowest estimate for a device in any form that was tried, in microseconds."""
        found = (trial.costs for trial in self.trials if trial.costs is not None)
        return min((costs[device] for costs in found), default=math.inf)


class WholeFigures:
    """Makes costs of estimates, but of none that lacks the cost of more operators than the first.

    What Qualcomm's estimate has no cost for counts as nothing in it.
    """

    def __init__(self) -> None:
        self._missing: dict[str, int] = {}

    def costs(self, figures: Mapping[str, EstimateRecord] | SnapqError) -> Costs | SnapqError:
        """The microseconds by device, or why they are none."""
        if isinstance(figures, SnapqError):
            return figures
        for device, figure in figures.items():
            more = figure.missing_ops - self._missing.setdefault(device, figure.missing_ops)
            if more > 0:
                return QnnError(f"{more} more operators have no cost in the estimate.")
        return {device: figure.precise_us for device, figure in figures.items()}


def side_by_side(work: Callable[[S], T], items: Sequence[S]) -> list[T]:
    """What `work` makes of each item, as many at once as there are processors."""
    threads = ThreadPoolExecutor(min(processors(), max(len(items), 1)))
    try:
        return list(threads.map(work, items))
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def is_faster(found: Costs | None, than: Costs | None, least: float = LEAST_GAIN) -> bool:
    """Whether one form is faster: on average by this share, and slower nowhere.

    A form that has an estimate is faster than one that has none.
    """
    if found is None or than is None:
        return found is not None
    ratios = [found[device] / than[device] for device in than]
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    return mean <= 1 - least and max(ratios) <= 1 + MOST_LOSS


def fastest(names: Sequence[str], ask: Ask, tries: int) -> Found:
    """Tries each change alone, and the ones that help together.

    1. The network as it is and with each change alone are asked for at once.
    2. The change that helps most is kept. Those that helped alone come on top, the most helpful
       first, each kept if the whole gets faster again.

    Args:
        names: the changes, the most promising first.
        ask: estimates some forms, side by side where it can.
        tries: how many forms may be estimated.

    Raises:
        SnapqError: a form has no estimate now but may have one later.
    """
    most = max(tries - 1, 0)
    first: list[Chosen] = [(), *((name,) for name in names[:most])]
    untried = tuple(names[most:])
    trials = _tried(first, ask)
    start, alone = trials[0].costs, trials[1:]
    helpful = sorted((one for one in alone if is_faster(one.costs, start)), key=_sum)
    if not helpful:
        return Found((), start, tuple(trials), untried)
    best = helpful[0]
    for one in helpful[1:]:
        if len(trials) >= tries:
            break
        trials += _tried([(*best.chosen, *one.chosen)], ask)
        if is_faster(trials[-1].costs, best.costs):
            best = trials[-1]
    return Found(best.chosen, best.costs, tuple(trials), untried)


def _tried(forms: Sequence[Chosen], ask: Ask) -> list[Trial]:
    """The forms with what was answered. Raises a `SnapqError` that may not come again."""
    trials = []
    for chosen, answer in zip(forms, ask(forms), strict=True):
        if isinstance(answer, SnapqError):
            if answer.transient:
                raise answer
            trials.append(Trial(chosen, None, str(answer)))
        else:
            trials.append(Trial(chosen, answer))
    return trials


def _sum(trial: Trial) -> float:
    """For the order: the logarithms of all devices count alike."""
    assert trial.costs is not None
    return sum(map(math.log, trial.costs.values()))
