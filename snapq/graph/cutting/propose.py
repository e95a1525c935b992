"""Where to cut a model so that most of its work stays on the NPU.

The part in front of a cut is closed: what a node of it reads is made in front of the cut too. Of
all such parts without a node that the NPU refuses, the best one loses few multiply-accumulates and
hands few tensors over. That is a minimum cut in a network of flow (Ford and Fulkerson 1956), found
here as Dinic does (1970): being behind the cut costs a node its multiply-accumulates, and being
handed over costs a tensor a thousandth of the model's, and one for each of its bytes.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import inf, prod

import onnx_ir as ir

from snapq.graph import cost
from snapq.graph.cutting.values import dependents, read_values
from snapq.graph.edit import constant
from snapq.graph.shapes import graph_inputs, static_shape

__all__ = ["Proposal", "propose"]

_TENSOR_COST = 0.001
"""Share of the model's multiply-accumulates that it may cost to hand one tensor less over."""
_LEAST = 0.01
"""Share of the multiply-accumulates below which a cut is not worth its name."""


@dataclass(frozen=True)
class Proposal:
    """A cut.

    Attributes:
        outputs: names of the tensors to cut at.
        macs: share of the model's multiply-accumulates in front of them, 0 to 1.
    """

    outputs: tuple[str, ...]
    macs: float


def propose(model: ir.Model, refused: Collection[str], names: Collection[str]) -> Proposal | None:
    """The cut that keeps most multiply-accumulates in front of the nodes that the NPU refuses.

    Args:
        model: shapes inferred; a node without fixed shapes counts as refused.
        refused: names of the nodes that must not be in front of the cut.
        names: of the tensors at which can be cut.

    Returns:
        None where no node is refused, or no cut keeps any work.
    """
    graph = model.graph
    bad = [node for node in graph if node.name in refused or not _is_fixed(node)]
    if not bad:
        return None
    behind = dependents(graph, (output for node in bad for output in node.outputs))
    free = [n for n in graph if not any(output in behind for output in n.outputs)]
    costs = {item.output: float(item.macs) for item in cost.node_costs(model)}
    total = sum(costs.values())
    flow = _Flow()
    varying = dependents(graph, graph_inputs(model))
    own, readers = set(free), defaultdict[ir.Value, list[ir.Node]](list)
    for node in graph:
        for value in read_values(node):
            readers[value].append(node)
    for node in free:
        flow.add(_SOURCE, node, costs[str(node.outputs[0].name)])
        for value in read_values(node):
            maker = value.producer()
            if maker in own:
                flow.add(node, maker, inf)
        for value in node.outputs:
            if value not in varying:
                continue  # a constant by now, which the tail has as well
            flow.add(node, value, _handing_over(value, names, total))
            for user in readers[value]:
                flow.add(value, user if user in own else _SINK, inf)
            if value.is_graph_output():
                flow.add(value, _SINK, inf)
    front = flow.before_cut()
    outputs = tuple(
        str(value.name)
        for node in free
        if node in front
        for value in node.outputs
        if value in varying
        and (value.is_graph_output() or any(user not in front for user in readers[value]))
    )
    macs = sum(costs[str(node.outputs[0].name)] for node in free if node in front)
    if not outputs or macs < _LEAST * total:
        return None
    return Proposal(outputs, macs / total)


def _is_fixed(node: ir.Node) -> bool:
    return all(static_shape(value) is not None for value in node.outputs if value.name)


def _handing_over(value: ir.Value, names: Collection[str], total: float) -> float:
    """What it costs to cut at a tensor."""
    shape = static_shape(value)
    if value.name not in names or value.dtype is None or shape is None or constant(value):
        return inf
    return _TENSOR_COST * total + prod(shape) * value.dtype.bitwidth / 8


_SOURCE, _SINK = "source", "sink"


class _Flow:
    """A network with capacities, and its minimum cut."""

    def __init__(self) -> None:
        self._room: dict[object, dict[object, float]] = {_SOURCE: {}, _SINK: {}}

    def add(self, start: object, end: object, capacity: float) -> None:
        """Adds capacity from one point to another."""
        ahead = self._room.setdefault(start, {})
        ahead[end] = ahead.get(end, 0.0) + capacity
        self._room.setdefault(end, {}).setdefault(start, 0.0)

    def before_cut(self) -> set[object]:
        """The largest source side of a minimum cut: what cannot reach the sink when it is full."""
        while _SINK in (levels := self._levels()):
            ways = {point: iter(tuple(ahead)) for point, ahead in self._room.items()}
            while self._push(levels, ways):
                pass
        reaching: set[object] = {_SINK}
        waiting: list[object] = [_SINK]
        while waiting:
            end = waiting.pop()
            for point in self._room[end]:
                if point not in reaching and self._room[point][end] > _NOTHING:
                    reaching.add(point)
                    waiting.append(point)
        return set(self._room) - reaching

    def _levels(self) -> dict[object, int]:
        levels: dict[object, int] = {_SOURCE: 0}
        waiting: deque[object] = deque([_SOURCE])
        while waiting:
            point = waiting.popleft()
            for end, room in self._room[point].items():
                if room > _NOTHING and end not in levels:
                    levels[end] = levels[point] + 1
                    waiting.append(end)
        return levels

    def _push(self, levels: dict[object, int], ways: dict[object, Iterator[object]]) -> bool:
        """Sends what one way can take; whether there was one."""
        way: list[object] = [_SOURCE]
        while way[-1] is not _SINK:
            point = way[-1]
            for end in ways[point]:
                if self._room[point][end] > _NOTHING and levels.get(end) == levels[point] + 1:
                    way.append(end)
                    break
            else:
                way.pop()
                if not way:
                    return False
        edges = tuple(pairwise(way))
        amount = min(self._room[start][end] for start, end in edges)
        for start, end in edges:
            self._room[start][end] -= amount
            self._room[end][start] += amount
        return True


_NOTHING = 1e-6
"""Room below which nothing flows: what rounding leaves."""
