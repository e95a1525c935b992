"""Mixed precision: the fewest nodes with more bits that keep an accuracy budget.

For each promotion (`promotions`) the tensors that hurt most for the least time come first. How many
of them are needed is found by doubling and bisection, and what turned out not to be needed is taken
back: all by a quick judge (the CPU), and with estimates. Then the judge that counts (the simulator)
has its say, the fastest candidate first; where it finds one wanting, the same with more promotions
joins those that wait. So it is asked for little more than what is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import onnx_ir as ir

from snapq.precision import Promotion
from snapq.quantization.analysis.alone import lowered
from snapq.quantization.analysis.sensitivity import Analysis, Damage
from snapq.quantization.mixed_precision.cost import (
    Clock,
    Cost,
    by_float_node,
)
from snapq.quantization.mixed_precision.promotions import (
    Step,
    ordered,
    promoted,
    steps,
    whole,
)
from snapq.quantization.qdq.scheme import Scheme

__all__ = ["Judge", "Judged", "Mixed", "Trial", "promote"]

_TAKEN_BACK = 6
"""How many promotions are tried without, after the bisection."""
_MORE = 3
"""How often promotions are added where the quick judge was too kind."""
_GROWTH = 1.3
_CURVE = 3
"""Candidates of a search beside the one that it ends with that are estimated, for the curve."""
_NEXT_TO_NOTHING = 1.02
"""A mix that costs at most so much of what the model costs without any is not searched on for."""


@dataclass(frozen=True)
class Judged:
    """How good a model is.

    Attributes:
        value: higher is better; SQNR in dB or a metric.
        met: whether it keeps the budget.
    """

    value: float
    met: bool


Judge = Callable[[ir.Model], Judged]


@dataclass(frozen=True)
class Trial:
    """A candidate.

    Attributes:
        to: the promotion; None where nothing has it.
        nodes: which nodes have it, in graph order.
        whole: whether all of the model has it.
        judged: how good it is.
        proved: whether that is by the judge that counts.
        cost: its estimate; None where there is none.
        scheme: how it was quantized.
    """

    to: Promotion | None
    nodes: tuple[str, ...]
    whole: bool
    judged: Judged
    proved: bool
    cost: Cost | None
    scheme: Scheme


@dataclass(frozen=True)
class Mixed:
    """What came of it.

    Attributes:
        chosen: the fastest candidate that keeps the budget; the best one where none does.
        trials: every candidate, in the order in which they were tried.
    """

    chosen: Trial
    trials: tuple[Trial, ...]


def promote(
    analysis: Analysis,
    damages: Sequence[Damage],
    judges: tuple[Judge, Judge],
    clock: Clock | None,
    to: Iterable[Promotion],
    told: Callable[[Trial], None] | None = None,
) -> Mixed:
    """Finds the fastest mix of precisions that keeps the budget.

    Args:
        analysis: the model, and the scheme that all nodes have at first.
        damages: of its tensors, from `analyze_tensors`.
        judges: the quick one, and the one that counts.
        clock: estimates a candidate; None where the time is not known, then the fewest nodes win.
        to: the promotions to try; what would change nothing is passed over.
        told: called with each candidate when it has been judged.
    """
    bench = _Bench(analysis, judges, clock, told)
    base = bench.timed(bench.guess(None, analysis.scheme))
    if base.judged.met and bench.prove(base).judged.met:
        return bench.result()
    wholes = _wholes(bench, analysis.scheme, to)
    waiting = [_Candidate(one) for one in wholes if one.judged.met]
    for one in wholes:
        if any(found.plan and _next_to_free(found.trial, base) for found in waiting):
            break
        if one.judged.met or one.judged.value > base.judged.value:
            found = _search(_Plan(analysis, damages, bench, base, one), bench)
            waiting += [found] if found is not None else []
    while waiting:
        fastest = min(waiting, key=lambda one: _price(one.trial))
        waiting.remove(fastest)
        if bench.prove(fastest.trial).judged.met:
            return bench.result()
        more = fastest.grown(bench)
        waiting += [more] if more is not None else []
    best = max(bench.trials, key=lambda trial: (trial.judged.value, not trial.whole))
    bench.prove(bench.timed(best))
    return bench.result()


class _Bench:
    """Makes candidates, and has them judged and estimated; each of them once."""

    def __init__(
        self,
        analysis: Analysis,
        judges: tuple[Judge, Judge],
        clock: Clock | None,
        told: Callable[[Trial], None] | None,
    ) -> None:
        self._analysis, self._clock, self._told = analysis, clock, told
        self._quick, self._final = judges
        self.graph = lowered(analysis.model).graph
        self._order = [str(node.name) for node in self.graph]
        self._trials: dict[object, Trial] = {}

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All candidates."""
        return tuple(self._trials.values())

    def result(self) -> Mixed:
        """The fastest that was proved to keep the budget, else the best that was proved."""
        proved = [trial for trial in self.trials if trial.proved]
        kept = [trial for trial in proved if trial.judged.met]
        best = min(kept, key=_price) if kept else max(proved, key=lambda one: one.judged.value)
        return Mixed(best, self.trials)

    def guess(self, to: Promotion | None, scheme: Scheme, *, whole: bool = False) -> Trial:
        """A candidate by the quick judge."""
        key = _key(scheme)
        if key not in self._trials:
            judged = self._quick(self._model(scheme))
            self._keep(Trial(to, self._named(to, scheme), whole, judged, False, None, scheme))
        return self._trials[key]

    def timed(self, trial: Trial) -> Trial:
        """The same with its estimate."""
        trial = self._trials[_key(trial.scheme)]
        if self._clock is None or trial.cost is not None:
            return trial
        return self._keep(replace(trial, cost=self._clock(self._model(trial.scheme))), tell=False)

    def prove(self, trial: Trial) -> Trial:
        """The same by the judge that counts."""
        trial = self._trials[_key(trial.scheme)]
        if trial.proved:
            return trial
        judged = self._final(self._model(trial.scheme))
        return self._keep(replace(trial, judged=judged, proved=True))

    def spent(self, trial: Trial) -> dict[str, float]:
        """Cycles by float node of a candidate with an estimate."""
        cost = trial.cost
        return by_float_node(self._model(trial.scheme), cost) if cost is not None else {}

    def _model(self, scheme: Scheme) -> ir.Model:
        return self._analysis.quantized(scheme).model

    def _named(self, to: Promotion | None, scheme: Scheme) -> tuple[str, ...]:
        before = self._analysis.scheme.per_node
        own = scheme.per_node
        return tuple(name for name in self._order if to and own.get(name) != before.get(name))

    def _keep(self, trial: Trial, *, tell: bool = True) -> Trial:
        self._trials[_key(trial.scheme)] = trial
        if tell and self._told is not None:
            self._told(trial)
        return trial


def _key(scheme: Scheme) -> object:
    named = ((name, own.weights, own.activations) for name, own in scheme.per_node.items())
    return scheme.weights, scheme.activations, frozenset(named)


def _price(trial: Trial) -> tuple[float, bool, int]:
    return (trial.cost.cycles if trial.cost else 0.0, trial.whole, len(trial.nodes))


def _next_to_free(trial: Trial, base: Trial) -> bool:
    if trial.cost is None or base.cost is None:
        return False
    return trial.cost.cycles <= _NEXT_TO_NOTHING * base.cost.cycles


def _wholes(bench: _Bench, scheme: Scheme, to: Iterable[Promotion]) -> list[Trial]:
    """The model with all of it promoted, for each promotion, the fastest first."""
    found: list[Trial] = []
    for one in to:
        raised = whole(scheme, one)
        if _key(raised) not in {_key(trial.scheme) for trial in bench.trials}:
            found.append(bench.timed(bench.guess(one, raised, whole=True)))
    return sorted(found, key=_price)


class _Plan:
    """In which order tensors are promoted."""

    def __init__(
        self,
        analysis: Analysis,
        damages: Sequence[Damage],
        bench: _Bench,
        base: Trial,
        raised: Trial,
    ) -> None:
        assert raised.to is not None
        self.to = raised.to
        self._scheme = analysis.scheme
        held = analysis.quantized(analysis.scheme).encodings
        total = base.cost.cycles if base.cost is not None else 1.0
        before, after = bench.spent(base), bench.spent(raised)
        same = [one for one in bench.trials if one.whole and one.to is Promotion.INT8]
        with_weights = bench.spent(same[0]) if same else after

        def extra(step: Step, name: str) -> float:
            promoted = with_weights if step.activations is None else after
            return (promoted.get(name, 0.0) - before.get(name, 0.0)) / total

        found = steps(damages, bench.graph, analysis.scheme, self.to, held)
        self.steps = ordered(found, extra)

    def scheme(self, chosen: Iterable[Step]) -> Scheme:
        """The scheme in which these promotions are made."""
        return promoted(self._scheme, chosen)


@dataclass(frozen=True)
class _Candidate:
    """A candidate that waits for the judge that counts.

    Attributes:
        trial: as the quick judge found it.
        plan: where more promotions come from; None where all of the model is promoted.
        count: how many promotions it was made of.
        more: how often promotions may still be added.
    """

    trial: Trial
    plan: _Plan | None = None
    count: int = 0
    more: int = _MORE

    def grown(self, bench: _Bench) -> _Candidate | None:
        """The same with more promotions; None where there are none."""
        plan = self.plan
        if plan is None or not self.more or self.count >= len(plan.steps):
            return None
        count = min(max(self.count + 1, round(self.count * _GROWTH)), len(plan.steps))
        trial = bench.timed(bench.guess(plan.to, plan.scheme(plan.steps[:count])))
        return _Candidate(trial, plan, count, self.more - 1)


def _search(plan: _Plan, bench: _Bench) -> _Candidate | None:
    """Finds how many promotions are needed, and which of them are not; None where all are too few.

    Some of the candidates on the way are estimated too.
    """
    tried: list[Trial] = []

    def met(chosen: Sequence[Step]) -> bool:
        tried.append(bench.guess(plan.to, plan.scheme(chosen)))
        return tried[-1].judged.met

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
    different = {_key(trial.scheme): trial for trial in tried}
    shown = sorted(different.values(), key=lambda trial: len(trial.nodes))
    for trial in shown[:: max(1, len(shown) // _CURVE)][:_CURVE]:
        bench.timed(trial)
    return _Candidate(bench.timed(bench.guess(plan.to, plan.scheme(kept))), plan, enough)
