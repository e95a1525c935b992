"""Mixed precision: the fewest nodes in 16 bits or fp16 that keep an accuracy budget.

A tensor loses its noise only where the node that gives it and all that compute with it have the
higher precision, so tensors are promoted, each with those nodes. They are taken in the order of
noise per cycle: noise from the sensitivity of each tensor alone, cycles from the estimates of the
whole model at either precision, by node. How many are needed is found by bisection, and what turned
out not to be needed is taken back. Every candidate is judged on real samples and estimated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import onnx_ir as ir

from snapq.precision import ActivationType, WeightType
from snapq.quantization.alone import lowered
from snapq.quantization.cost import Clock, Cost, by_float_node, follows
from snapq.quantization.quantize import Quantized
from snapq.quantization.scheme import NodePrecision, Scheme
from snapq.quantization.sensitivity import Analysis, Damage, Kind

__all__ = ["Judge", "Judged", "Mixed", "Trial", "promote"]

_INT16_WEIGHTS_FROM = 73
_FREE = 1e-4
"""The least that a promotion counts, as share of the model's cycles: none is for nothing."""
_TAKEN_BACK = 6
"""How many promotions are tried without, after the bisection."""


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
        cost: its estimate; None where there is none.
        model: what it was quantized to.
        scheme: how.
    """

    to: ActivationType | None
    nodes: tuple[str, ...]
    whole: bool
    judged: Judged
    cost: Cost | None
    quantized: Quantized
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
    judge: Judge,
    clock: Clock | None,
    to: Iterable[ActivationType],
    progress: Callable[[int], None] | None = None,
) -> Mixed:
    """Finds the fastest mix of precisions that keeps the budget.

    Args:
        analysis: the model, and the scheme that all nodes have at first.
        damages: of its tensors, from `analyze_tensors`.
        judge: says how good a candidate is.
        clock: estimates a candidate; None where the time is not known, then the fewest nodes win.
        to: the higher precisions to try: `uint16` (with int16 weights, where weights hurt and the
            architecture has them) and `float16`.
        progress: called after each candidate.
    """
    trials: list[Trial] = []

    def attempt(kind: ActivationType | None, scheme: Scheme, whole: bool = False) -> Trial:
        quantized = analysis.quantized(scheme)
        nodes = tuple(name for name in order if name in scheme.per_node) if kind else ()
        cost = clock(quantized.model) if clock else None
        judged = judge(quantized.model)
        trials.append(Trial(kind, nodes, whole, judged, cost, quantized, scheme))
        if progress is not None:
            progress(1)
        return trials[-1]

    graph = lowered(analysis.model).graph
    order = [str(node.name) for node in graph]
    base = attempt(None, analysis.scheme)
    if not base.judged.met:
        for kind in to:
            whole = attempt(kind, replace(analysis.scheme, activations=kind), whole=True)
            if whole.judged.met or whole.judged.value > base.judged.value:
                _search(_Plan(analysis, damages, graph, base, whole), attempt)
    kept = [trial for trial in trials if trial.judged.met]
    chosen = min(kept, key=_price) if kept else max(trials, key=lambda trial: trial.judged.value)
    return Mixed(chosen, tuple(trials))


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
        graph: ir.Graph,
        base: Trial,
        whole: Trial,
    ) -> None:
        assert whole.to is not None
        self.to = whole.to
        self._scheme = analysis.scheme
        self._extra = _extra(base, whole)
        steps = _steps(damages, graph, self.to, analysis.scheme.architecture)
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


def _extra(base: Trial, whole: Trial) -> dict[str, float]:
    """What each node costs more at the higher precision, as share of the whole base model."""
    if base.cost is None or whole.cost is None or not base.cost.cycles:
        return {}
    before = by_float_node(base.quantized.model, base.cost)
    after = by_float_node(whole.quantized.model, whole.cost)
    names = {*before, *after}
    return {
        name: (after.get(name, 0.0) - before.get(name, 0.0)) / base.cost.cycles for name in names
    }


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


def _search(plan: _Plan, attempt: Callable[[ActivationType | None, Scheme], Trial]) -> None:
    """Tries how many promotions are needed, and which of them are not."""
    known: dict[tuple[str, ...], bool] = {}

    def met(steps: Sequence[_Step]) -> bool:
        scheme = plan.scheme(steps)
        key = tuple(sorted(f"{name} {own.weights}" for name, own in scheme.per_node.items()))
        if key not in known:
            known[key] = attempt(plan.to, scheme).judged.met
        return known[key]

    failing, enough = 0, 1
    while enough <= len(plan.steps) and not met(plan.steps[:enough]):
        failing, enough = enough, _next(enough, len(plan.steps))
    if enough > len(plan.steps):
        return
    while failing + 1 < enough:
        middle = (failing + enough) // 2
        failing, enough = (failing, middle) if met(plan.steps[:middle]) else (middle, enough)
    kept = plan.steps[:enough]
    for step in kept[-2::-1][:_TAKEN_BACK]:
        without = [other for other in kept if other is not step]
        kept = without if met(without) else kept


def _next(count: int, most: int) -> int:
    """Twice as many, and once all of them; more than `most` where all were tried."""
    return min(2 * count, most) if count < most else most + 1
