"""Mixed precision: the fewest nodes with more bits that keep an accuracy budget.

For each promotion (`promotions`) the most sensitive tensors come first, weighed by the time that
they cost. How many of them are needed is found by doubling and bisection, and what turned out not
to be needed is taken back: all by a quick evaluation (on the CPU), and with estimates. Then the
final evaluation (on the simulator) takes the fastest candidate first; where it misses the budget,
the same with more promotions joins those that wait. So it runs for little more than what is taken.

The parts of a transformer are tried as wholes before: where one is enough and takes no longer than
the model without it, no tensor is looked at alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from snapq.precision import ActivationType, Promotion
from snapq.quantization.analysis.sensitivity import Analysis, Sensitivity
from snapq.quantization.mixed_precision.cost import Estimate
from snapq.quantization.mixed_precision.narrower_weights import narrow
from snapq.quantization.mixed_precision.promotions import Step, ordered, promoted, steps, whole
from snapq.quantization.mixed_precision.trials import Evaluate, Trial, Trials, key, price
from snapq.quantization.precision_rules.transformer_parts import transformer_parts
from snapq.quantization.qdq.scheme import Scheme

__all__ = ["Mixed", "promote"]

_TAKEN_BACK = 6
"""How many promotions are tried without, after the bisection."""
_MORE = 3
"""How often promotions are added where the final evaluation misses the budget."""
_GROWTH = 1.3
_CURVE = 3
"""Candidates of a search beside the one that it ends with that are estimated, for the curve."""
_NEXT_TO_NOTHING = 1.02
"""A mix that costs at most so much of what the model costs without any is not searched on for."""


@dataclass(frozen=True)
class Mixed:
    """Every candidate in order, and the fastest that keeps the budget; the best where none does."""

    chosen: Trial
    trials: tuple[Trial, ...]


def promote(
    analysis: Analysis,
    sensitivities: Callable[[], Sequence[Sensitivity]],
    evaluators: tuple[Evaluate, Evaluate],
    estimate: Estimate | None,
    to: Iterable[Promotion],
    report: Callable[[Trial], None] | None = None,
    *,
    thorough: bool = False,
    free: Collection[str] = (),
) -> Mixed:
    """Finds the fastest mix of precisions that keeps the budget.

    The analysis has the scheme of all nodes at first; the sensitivity of its tensors is asked for
    only where something has to be promoted; the evaluators are the quick and the final one. Without
    an estimate the fewest nodes win. Promotions that would change nothing are passed over; `report`
    is called with each candidate when it has been evaluated.

    `thorough` looks for something faster also where the model keeps the budget without promotions:
    the NPU takes less time for some models at 16 bits, or in fp16, than at 8. Then weights of
    `free` nodes, by name, get 4 bits where that is faster and keeps the budget too.
    """
    trials = Trials(analysis, evaluators, estimate, report)
    _search_mix(trials, analysis, sensitivities, to, thorough=thorough)
    best = trials.best()
    if thorough and free and best.evaluation.met:
        narrow(trials, analysis, best, free)
    return Mixed(trials.best(), trials.all)


def _search_mix(
    trials: Trials,
    analysis: Analysis,
    sensitivities: Callable[[], Sequence[Sensitivity]],
    to: Iterable[Promotion],
    *,
    thorough: bool,
) -> None:
    """Proves the fastest mix that keeps the budget; the best one where none does."""
    base = trials.timed(trials.guess(None, analysis.scheme))
    if base.evaluation.met and trials.prove(base).evaluation.met:
        if thorough and base.cost is not None:
            _faster(trials, base, _wholes(trials, analysis.scheme, to))
        return
    kinds = tuple(to)
    wholes = _wholes(trials, analysis.scheme, kinds)
    parts = _parts(trials, analysis.scheme) if Promotion.UINT16 in kinds else []
    waiting = [_Candidate(one) for one in (*wholes, *parts) if one.evaluation.met]
    for one in wholes:
        if base.cost and any(
            not found.trial.whole and price(found.trial)[0] <= _NEXT_TO_NOTHING * base.cost.cycles
            for found in waiting
        ):
            break
        if one.evaluation.met or one.evaluation.value > base.evaluation.value:
            found = _search(_Plan(analysis, sensitivities(), trials, base, one), trials)
            waiting += [found] if found is not None else []
    while waiting:
        fastest = min(waiting, key=lambda one: price(one.trial))
        waiting.remove(fastest)
        if trials.prove(fastest.trial).evaluation.met:
            return
        more = fastest.grown(trials)
        waiting += [more] if more is not None else []
    while True:
        left = [trial for trial in trials.all if trial.refused is None]
        best = max(left, key=lambda trial: (trial.evaluation.value, not trial.whole))
        if trials.prove(trials.timed(best)).refused is None:
            return


def _wholes(trials: Trials, scheme: Scheme, to: Iterable[Promotion]) -> list[Trial]:
    """The model with all of it promoted, for each promotion, the fastest first."""
    found: list[Trial] = []
    for one in to:
        raised = whole(scheme, one)
        if key(raised) not in {key(trial.scheme) for trial in trials.all}:
            found.append(trials.timed(trials.guess(one, raised, whole=True)))
    return sorted(found, key=price)


def _parts(trials: Trials, scheme: Scheme) -> list[Trial]:
    """The model with parts of a transformer at 16 bits; those that keep the budget are estimated.

    What the scheme says of a node stays.
    """
    found: list[Trial] = []
    for names in transformer_parts(trials.graph).values():
        step = Step(names - scheme.per_node.keys(), None, ActivationType.UINT16)
        raised = promoted(scheme, (step,))
        if key(raised) not in {key(trial.scheme) for trial in (*trials.all, *found)}:
            one = trials.guess(Promotion.UINT16, raised)
            found.append(trials.timed(one) if one.evaluation.met else one)
    return found


def _faster(trials: Trials, base: Trial, wholes: Sequence[Trial]) -> None:
    """Proves the fastest of these that keep the budget, where it is faster than the base."""
    base = trials.timed(base)
    for one in wholes:
        if price(one) >= price(base):
            return
        if one.cost and base.cost and not one.cost.compares_with(base.cost):
            continue
        if one.evaluation.met and trials.prove(one).evaluation.met:
            return


class _Plan:
    """In which order tensors are promoted."""

    def __init__(
        self,
        analysis: Analysis,
        sensitivities: Sequence[Sensitivity],
        trials: Trials,
        base: Trial,
        raised: Trial,
    ) -> None:
        assert raised.to is not None
        self.to = raised.to
        self._scheme, self._trials = analysis.scheme, trials
        held = analysis.quantized(analysis.scheme).encodings
        total = base.cost.cycles if base.cost is not None else 1.0
        before, after = trials.spent(base), trials.spent(raised)
        same = [one for one in trials.all if one.whole and one.to is Promotion.INT8]
        with_weights = trials.spent(same[0]) if same else after

        def extra(step: Step, name: str) -> float:
            promoted = with_weights if step.activations is None else after
            return (promoted.get(name, 0.0) - before.get(name, 0.0)) / total

        found = steps(sensitivities, trials.graph, analysis.scheme, self.to, held)
        self.steps = ordered(found, extra)

    def guess(self, chosen: Iterable[Step]) -> Trial:
        """The candidate in which these promotions are made."""
        return self._trials.guess(self.to, promoted(self._scheme, chosen))


@dataclass(frozen=True)
class _Candidate:
    """A candidate that waits for its final evaluation.

    Attributes:
        trial: with its quick evaluation.
        plan: where more promotions come from; None where all of the model is promoted.
        count: how many promotions it was made of.
        more: how often promotions may still be added.
    """

    trial: Trial
    plan: _Plan | None = None
    count: int = 0
    more: int = _MORE

    def grown(self, trials: Trials) -> _Candidate | None:
        """The same with more promotions; None where there are none."""
        plan = self.plan
        if plan is None or not self.more or self.count >= len(plan.steps):
            return None
        count = min(max(self.count + 1, round(self.count * _GROWTH)), len(plan.steps))
        trial = trials.timed(plan.guess(plan.steps[:count]))
        return _Candidate(trial, plan, count, self.more - 1)


def _search(plan: _Plan, trials: Trials) -> _Candidate | None:
    """Finds how many promotions are needed, and which of them are not; None where all are too few.

    Some of the candidates on the way are estimated too.
    """
    tried: list[Trial] = []

    def met(chosen: Sequence[Step]) -> bool:
        tried.append(plan.guess(chosen))
        return tried[-1].evaluation.met

    most = len(plan.steps)
    failing, enough = 0, min(1, most)
    while enough < most and not met(plan.steps[:enough]):
        failing, enough = enough, min(2 * enough, most)
    if not most or (enough == most and not met(plan.steps)):
        return None
    while failing + 1 < enough:
        middle = (failing + enough) // 2
        failing, enough = (failing, middle) if met(plan.steps[:middle]) else (middle, enough)
    kept = plan.steps[:enough]
    for step in kept[-2::-1][:_TAKEN_BACK]:
        without = [other for other in kept if other is not step]
        kept = without if met(without) else kept
    different = {key(trial.scheme): trial for trial in tried}
    shown = sorted(different.values(), key=lambda trial: len(trial.nodes))
    for trial in shown[:: max(1, len(shown) // _CURVE)][:_CURVE]:
        trials.timed(trial)
    return _Candidate(trials.timed(plan.guess(kept)), plan, enough)
