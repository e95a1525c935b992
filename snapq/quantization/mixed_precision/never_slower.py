"""Never slower: finds the nodes that cost more in integers than in float, and leaves them in float.

Quantizing can cost time: kernels that are slower in integers, and conversions around nodes that
have no integer kernel. The estimate by nodes of both models says which; a node in float between
quantized ones is paid for with conversions, so its neighbours are tried with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import onnx_ir as ir

from snapq.precision import SMALLEST_FLOAT16, ActivationType
from snapq.quantization.analysis.alone import lowered
from snapq.quantization.mixed_precision.cost import Cost, Estimate, by_float_node, follows
from snapq.quantization.qdq.decisions import KEPT_FLOAT
from snapq.quantization.qdq.scheme import NodePrecision, Source
from snapq.quantization.quantize import Quantized

__all__ = ["Attempt", "Faster", "Make", "never_slower", "too_small_for_fp16"]

Make = Callable[[Mapping[str, NodePrecision]], Quantized]
"""Quantizes the model with these further precisions of nodes."""

_MOST = 10
"""Compiles of candidates, beside the first two."""
_HEAVY = 0.1
"""Share of the largest excess from which a node counts as heavy."""
_IN_FLOAT = NodePrecision(
    activations=ActivationType.FLOAT16,
    reason="faster in float by the estimate",
    source=Source.ESTIMATE,
)


@dataclass(frozen=True)
class Attempt:
    """A candidate: what stays in float, and its estimate."""

    floats: tuple[str, ...]
    cost: Cost


@dataclass(frozen=True)
class Faster:
    """What came of it.

    Attributes:
        quantized: the model to go on with.
        cost: its estimate.
        float_cost: the estimate of the float model.
        first: the estimate of the model with all that can be quantized quantized.
        floats: the nodes that stay in float, in graph order.
        everything: whether nothing is left that is quantized.
        excess: cycles by node that quantizing cost more than float, in the first model.
        attempts: every candidate that was estimated.
    """

    quantized: Quantized
    cost: Cost
    float_cost: Cost
    first: Cost
    floats: tuple[str, ...]
    everything: bool
    excess: Mapping[str, float]
    attempts: tuple[Attempt, ...]

    @property
    def nodes(self) -> dict[str, NodePrecision]:
        """The precision of the nodes that stay in float."""
        return dict.fromkeys(self.floats, _IN_FLOAT)


def never_slower(model: ir.Model, quantized: Quantized, make: Make, estimate: Estimate) -> Faster:
    """Leaves nodes in float until the estimate is at most that of the float model.

    1. Nothing is done where the quantized model is not slower, or where more operators of the float
       model have no cost.
    2. Nodes that cost more in integers than in float are tried in float: the costliest, the heavy
       ones, the costlier half, all of them, each without and with its neighbours. The fastest
       choice stays.
    3. That is repeated while it helps and the model is slower than float. Where it still is after
       10 candidates, all of it stays in float.
    """
    float_cost = estimate(model)
    first = cost = estimate(quantized.model)
    slower = cost.cycles > float_cost.cycles and float_cost.compares_with(cost)
    floats: frozenset[str] = frozenset()
    attempts = [Attempt((), cost)]
    graph = lowered(model).graph
    neighbours = _neighbours(graph)
    computing = {str(node.name) for node in graph if not follows(node)}
    excess = _excess(quantized.model, first, float_cost)
    while slower and cost.cycles > float_cost.cycles and len(attempts) <= _MOST:
        now = _excess(quantized.model, cost, float_cost)
        found = []
        for more in _choices(now, floats, neighbours, computing):
            if len(attempts) > _MOST:
                break
            candidate = make(dict.fromkeys(floats | more, _IN_FLOAT))
            attempts.append(Attempt(tuple(sorted(floats | more)), estimate(candidate.model)))
            found.append((attempts[-1], candidate))
        best = min(found, key=lambda one: (one[0].cost.cycles, len(one[0].floats)), default=None)
        if best is None or best[0].cost.cycles >= cost.cycles:
            break
        quantized, cost, floats = best[1], best[0].cost, frozenset(best[0].floats)
    if slower and cost.cycles > float_cost.cycles:
        floats = frozenset(str(node.name) for node in graph)
        quantized = make(dict.fromkeys(floats, _IN_FLOAT))
        cost = estimate(quantized.model)
        attempts.append(Attempt(tuple(sorted(floats)), cost))
    ordered = tuple(str(node.name) for node in graph if str(node.name) in floats)
    everything = all(
        KEPT_FLOAT in node.metadata_props
        for node in quantized.model.graph
        if str(node.name) in computing
    )
    return Faster(quantized, cost, float_cost, first, ordered, everything, excess, tuple(attempts))


def too_small_for_fp16(model: ir.Model, quantized: Quantized) -> str | None:
    """An output that the NPU would take for 0 in fp16, and what it reaches; None for none."""
    for value in model.graph.outputs:
        held = quantized.encodings.get(str(value.name))
        reach = float(max(held.maximum.max(), -held.minimum.min())) if held is not None else 0.0
        if 0.0 < reach < SMALLEST_FLOAT16:
            return f"'{value.name}' reaches {reach:.1e}"
    return None


def _excess(model: ir.Model, cost: Cost, float_cost: Cost) -> dict[str, float]:
    """Cycles by node above those of the float model; only nodes that cost more."""
    spent = by_float_node(model, cost)
    over = {name: cycles - float_cost.nodes.get(name, 0.0) for name, cycles in spent.items()}
    return {name: cycles for name, cycles in over.items() if cycles > 0.0}


def _choices(
    excess: Mapping[str, float],
    floats: frozenset[str],
    neighbours: Mapping[str, frozenset[str]],
    computing: set[str],
) -> Iterator[frozenset[str]]:
    """Sets of further nodes to leave in float, the smallest first, none twice."""
    costly = sorted(excess, key=lambda name: (-excess[name], name))
    told = set()
    most = max(excess.values(), default=0.0)
    heavy = sum(cycles >= _HEAVY * most for cycles in excess.values())
    for count in (1, heavy, (len(costly) + 1) // 2, len(costly)):
        chosen = set(costly[:count])
        beside = {other for name in chosen for other in neighbours.get(name, ())}
        for wide in (chosen, chosen | beside):
            more = frozenset(name for name in wide if name in computing) - floats
            if more and more not in told:
                told.add(more)
                yield more


def _neighbours(graph: ir.Graph) -> dict[str, frozenset[str]]:
    """For each node the nodes that compute next to it, through such that only move or clamp."""
    found: dict[str, set[str]] = {}
    for node in graph:
        for user in _users(node):
            found.setdefault(str(node.name), set()).add(str(user.name))
            found.setdefault(str(user.name), set()).add(str(node.name))
    return {name: frozenset(others) for name, others in found.items()}


def _users(node: ir.Node) -> Iterator[ir.Node]:
    for value in node.outputs:
        for user, _ in value.uses():
            if follows(user):
                yield from _users(user)
            else:
                yield user
