"""The search among forms of one network: which of several changes make it faster by the estimate.

No change of a graph is faster on every chip and in every network: the compiler places and orders
what it is given by rules of its own. So changes that leave the results alone are tried, within a
number of compiles, and those are kept with which the estimate is lower.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from snapq.errors import SnapqError

__all__ = ["LEAST_GAIN", "Costs", "Found", "Trial", "fastest", "is_faster"]

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
    """

    chosen: Chosen
    costs: Costs | None
    trials: tuple[Trial, ...]

    @property
    def start(self) -> Costs | None:
        """The estimate without any of the changes."""
        return self.trials[0].costs

    @property
    def left(self) -> Chosen:
        """The changes that were tried and are not kept."""
        tried = dict.fromkeys(name for trial in self.trials for name in trial.chosen)
        return tuple(name for name in tried if name not in self.chosen)

    def best_of(self, device: str) -> float:
        """The lowest estimate for a device in any form that was tried, in microseconds."""
        found = (trial.costs for trial in self.trials if trial.costs is not None)
        return min((costs[device] for costs in found), default=math.inf)


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
    first: list[Chosen] = [(), *((name,) for name in names[: max(tries - 1, 0)])]
    trials = _tried(first, ask)
    start, alone = trials[0].costs, trials[1:]
    helpful = sorted((one for one in alone if is_faster(one.costs, start)), key=_sum)
    if not helpful:
        return Found((), start, tuple(trials))
    best = helpful[0]
    for one in helpful[1:]:
        if len(trials) >= tries:
            break
        trials += _tried([(*best.chosen, *one.chosen)], ask)
        if is_faster(trials[-1].costs, best.costs):
            best = trials[-1]
    return Found(best.chosen, best.costs, tuple(trials))


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
