"""Mixed precision: the fewest nodes in 16 bits or fp16 that keep an accuracy budget.

A tensor loses its noise only where the node that gives it and all that compute with it have the
higher precision, so tensors are promoted, each with those nodes. They are taken in the order of
noise per cycle: noise from the sensitivity of each tensor alone, cycles from the estimates of the
whole model at either precision, by node. How many are needed is found by doubling and bisection,
and what turned out not to be needed is taken back: both with a quick judge (the CPU). What comes of
it is proved by the judge that counts (the simulator), with more promotions where that is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import onnx_ir as ir

from snapq.precision import ActivationType, WeightType
from snapq.quantization.alone import lowered
from snapq.quantization.cost import Clock, Cost, by_float_node, follows
from snapq.quantization.scheme import NodePrecision, Scheme
from snapq.quantization.sensitivity import Analysis, Damage, Kind

__all__ = ["Judge", "Judged", "Mixed", "Trial", "promote"]

_INT16_WEIGHTS_FROM = 73
_FREE = 1e-4
"""The least that a promotion counts, as share of the model's cycles: none is for nothing."""
_TAKEN_BACK = 6
"""How many promotions are tried without, after the bisection."""
_MORE = 3
"""How often promotions are added where the quick judge was too kind."""
_GROWTH = 1.3
_CURVE = 3
"""Candidates of the quick judge that are estimated, for the curve."""


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
        to: the higher precision; None where nothing has it.
        nodes: which nodes have it, in graph order.
        whole: whether all of the model has it.
        judged: how good it is.
        proved: whether that is by the judge that counts.
        cost: its estimate; None where there is none.
        scheme: how it was quantized.
    """

    to: ActivationType | None
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
    to: Iterable[ActivationType],
    progress: Callable[[int], None] | None = None,
) -> Mixed:
    """Finds the fastest mix of precisions that keeps the budget.

    Args:
        analysis: the model, and the scheme that all nodes have at first.
        damages: of its tensors, from `analyze_tensors`.
        judges: the quick one, and the one that counts.
        clock: estimates a candidate; None where the time is not known, then the fewest nodes win.
        to: the higher precisions to try: `uint16` (with int16 weights, where weights hurt and the
            architecture has them) and `float16`.
        progress: called after each candidate.
    """
    bench = _Bench(analysis, judges, clock, progress)
    base = bench.prove(None, analysis.scheme)
    if not base.judged.met:
        for kind in to:
            scheme = replace(analysis.scheme, activations=kind)
            whole = bench.prove(kind, scheme, whole=True)
            if whole.judged.met or whole.judged.value > base.judged.value:
                _search(_Plan(analysis, damages, bench, base, whole), bench)
    proved = [trial for trial in bench.trials if trial.proved]
    kept = [trial for trial in proved if trial.judged.met]
    chosen = min(kept, key=_price) if kept else max(proved, key=lambda trial: trial.judged.value)
    return Mixed(chosen, tuple(bench.trials))


class _Bench:
    """Makes candidates, and has them judged and estimated."""

    def __init__(
        self,
        analysis: Analysis,
        judges: tuple[Judge, Judge],
        clock: Clock | None,
        progress: Callable[[int], None] | None,
    ) -> None:
        self._analysis, self._clock, self._progress = analysis, clock, progress
        self._quick, self._final = judges
        self.graph = lowered(analysis.model).graph
        self._order = [str(node.name) for node in self.graph]
        self._spent: dict[int, dict[str, float]] = {}
        self.trials: list[Trial] = []

    def prove(self, kind: ActivationType | None, scheme: Scheme, *, whole: bool = False) -> Trial:
        """A candidate by the judge that counts, with its estimate."""
        model = self._analysis.quantized(scheme).model
        cost = self._clock(model) if self._clock else None
        trial = Trial(
            kind, self._named(kind, scheme), whole, self._final(model), True, cost, scheme
        )
        if cost is not None:
            self._spent[id(trial)] = by_float_node(model, cost)
        return self._keep(trial)

    def guess(self, kind: ActivationType, scheme: Scheme) -> Trial:
        """A candidate by the quick judge."""
        model = self._analysis.quantized(scheme).model
        judged = self._quick(model)
        return self._keep(
            Trial(kind, self._named(kind, scheme), False, judged, False, None, scheme)
        )

    def estimate(self, trial: Trial) -> None:
        """Adds its estimate to a candidate of the quick judge."""
        if self._clock is not None:
            model = self._analysis.quantized(trial.scheme).model
            timed = replace(trial, cost=self._clock(model))
            self.trials[self.trials.index(trial)] = timed

    def nodes(self, trial: Trial) -> dict[str, float]:
        """Cycles by node of a candidate that was proved."""
        return self._spent.get(id(trial), {})

    def _named(self, kind: ActivationType | None, scheme: Scheme) -> tuple[str, ...]:
        before = self._analysis.scheme.per_node
        own = scheme.per_node
        return tuple(name for name in self._order if kind and own.get(name) != before.get(name))

    def _keep(self, trial: Trial) -> Trial:
        self.trials.append(trial)
        if self._progress is not None:
            self._progress(1)
        return trial


def _price(trial: Trial) -> tuple[float, bool, int]:
    return (trial.cost.cycles if trial.cost else 0.0, trial.whole, len(trial.nodes))


@dataclass(frozen=True)
class _Step:
    """One tensor's promotion: the nodes that it needs, and whether weights are to be int16."""

    nodes: frozenset[str]
    weights: bool


class _Plan:
    """In which order tensors are promoted to one precision."""

    def __init__(
        self,
        analysis: Analysis,
        damages: Sequence[Damage],
        bench: _Bench,
        base: Trial,
        whole: Trial,
    ) -> None:
        assert whole.to is not None
        self.to = whole.to
        self._scheme = analysis.scheme
        before, after = bench.nodes(base), bench.nodes(whole)
        total = base.cost.cycles if base.cost is not None else 1.0
        self._extra = {
            name: (after.get(name, 0.0) - before.get(name, 0.0)) / total
            for name in {*before, *after}
        }
        steps = _steps(damages, bench.graph, self.to, analysis.scheme.architecture)
        self.steps = self._ordered(steps)

    def scheme(self, steps: Iterable[_Step]) -> Scheme:
        """The scheme in which these promotions are made."""
        per_node = dict(self._scheme.per_node)
        for step in steps:
            for name in step.nodes:
                weights = WeightType.INT16 if step.weights else None
                before = per_node.get(name, NodePrecision())
                per_node[name] = NodePrecision(
                    weights or before.weights, self.to, "the accuracy budget"
                )
        return replace(self._scheme, per_node=per_node)

    def _ordered(self, steps: Sequence[tuple[_Step, float]]) -> list[_Step]:
        """Most noise per cycle first, given what is promoted before."""
        left = list(steps)
        done: set[str] = set()
        ordered = []
        while left:
            gains = [noise / self._cost(step.nodes - done) for step, noise in left]
            step, _ = left.pop(gains.index(max(gains)))
            done |= step.nodes
            ordered.append(step)
        return ordered

    def _cost(self, nodes: Iterable[str]) -> float:
        return _FREE + sum(max(self._extra.get(name, 0.0), _FREE) for name in nodes)


def _steps(
    damages: Sequence[Damage], graph: ir.Graph, to: ActivationType, architecture: int
) -> list[tuple[_Step, float]]:
    """Each tensor that the precision helps, with what it needs and the noise that it takes away."""
    producers = {str(value.name): node for node in graph for value in node.outputs}
    readers: dict[str, list[ir.Node]] = {}
    for node in graph:
        for value in node.inputs:
            if value is not None:
                readers.setdefault(str(value.name), []).append(node)
    found = []
    for damage in damages:
        weights = damage.kind is Kind.WEIGHT and to is ActivationType.UINT16
        if damage.noise <= 0.0 or (weights and architecture < _INT16_WEIGHTS_FROM):
            continue
        nodes = {str(node.name) for user in readers.get(damage.name, []) for node in _onward(user)}
        producer = producers.get(damage.name)
        if producer is not None:
            nodes |= {str(node.name) for node in _back(producer)}
        if nodes:
            found.append((_Step(frozenset(nodes), weights), damage.noise))
    return found


def _onward(node: ir.Node) -> list[ir.Node]:
    """The nodes that compute with what a node is given, through such that only move or clamp."""
    if not follows(node):
        return [node]
    users = [user for value in node.outputs for user, _ in value.uses()]
    return [found for user in users for found in _onward(user)]


def _back(node: ir.Node) -> list[ir.Node]:
    """The node that computed what a node gives, through such that only move or clamp."""
    source = node.inputs[0] if node.inputs else None
    producer = source.producer() if source is not None else None
    return _back(producer) if follows(node) and producer is not None else [node]


def _search(plan: _Plan, bench: _Bench) -> None:
    """Tries how many promotions are needed, and which of them are not; proves what comes of it."""
    guessed: dict[tuple[str, ...], Trial] = {}

    def met(steps: Sequence[_Step]) -> bool:
        scheme = plan.scheme(steps)
        key = tuple(sorted(f"{name} {own.weights}" for name, own in scheme.per_node.items()))
        if key not in guessed:
            guessed[key] = bench.guess(plan.to, scheme)
        return guessed[key].judged.met

    most = len(plan.steps)
    failing, enough = 0, min(1, most)
    while enough < most and not met(plan.steps[:enough]):
        failing, enough = enough, min(2 * enough, most)
    while failing + 1 < enough:
        middle = (failing + enough) // 2
        failing, enough = (failing, middle) if met(plan.steps[:middle]) else (middle, enough)
    kept = plan.steps[:enough]
    for step in kept[-2::-1][:_TAKEN_BACK]:
        without = [other for other in kept if other is not step]
        kept = without if met(without) else kept
    _prove(plan, bench, kept, enough)
    tried = sorted(guessed.values(), key=lambda trial: len(trial.nodes))
    for trial in tried[:: max(1, len(tried) // _CURVE)][:_CURVE]:
        bench.estimate(trial)


def _prove(plan: _Plan, bench: _Bench, kept: list[_Step], enough: int) -> None:
    """Has the candidate proved, and larger ones while it does not keep the budget."""
    for _ in range(_MORE + 1):
        if not kept or bench.prove(plan.to, plan.scheme(kept)).judged.met:
            return
        if enough >= len(plan.steps):
            return
        more = min(max(enough + 1, round(enough * _GROWTH)), len(plan.steps))
        kept, enough = plan.steps[:more], more
