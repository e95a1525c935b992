"""A float model in segments, so that a change in the middle is judged from there on.

What flows between segments is computed once for each sample and kept. A change of some tensors then
takes sessions of the segments that give them, and runs of these and of the segments behind.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import prod

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from snapq.cpu import CpuModel
from snapq.graph.cost import node_costs
from snapq.graph.edit import subgraphs
from snapq.graph.shapes import static_shape
from snapq.quantization.calibration.kept import KeptArrays, Place
from snapq.runtime import processors

__all__ = ["Changed", "Segments", "divided"]

Array = npt.NDArray[np.generic]
Feeds = Mapping[str, Array]

_NOTHING: Feeds = {}
_SEGMENTS = 12
_NEAR = 0.3
"""How far from where segments are alike a cut may be, in segments; it is where least flows."""
_BYTE = 4
"""Multiply-accumulates that take as long as reading or writing a byte."""
_NEVER = 1 << 60
_FEW = 4096
"""Elements of constants that are compared; larger ones are alike where they are one."""


@dataclass(frozen=True)
class Segment:
    """Some nodes of a model that follow each other.

    Attributes:
        model: these nodes; its inputs are what they read of others or as the model's inputs, its
            outputs what others read of them, and the model's outputs.
        makes: names of all that they give.
    """

    model: ir.Model
    makes: frozenset[str]


class Segments:
    """A model run segment by segment on a few samples.

    Args:
        model: fixed shapes; left as it is.
        samples: feeds.

    Raises:
        ModelError: ONNX Runtime does not accept the model.
        StorageError: what is kept cannot be written.
    """

    def __init__(self, model: ir.Model, samples: Sequence[Feeds]) -> None:
        self.outputs = tuple(str(value.name) for value in model.graph.outputs)
        self._segments = divided(model)
        self._nodes = {str(node.outputs[0].name): node for node in model.graph}
        self._runnables = [_runnable(segment.model) for segment in self._segments]
        self._kept = KeptArrays()
        self._places: list[dict[str, Place]] = []
        self.truth: list[dict[str, Array]] = []
        """The model's outputs for each sample."""
        for sample in samples:
            known: dict[str, Array] = dict(sample)
            for runnable in self._runnables:
                known |= runnable.run({name: known[name] for name in runnable.inputs})
            self.truth.append({name: known[name] for name in self.outputs})
            read = {name for runnable in self._runnables for name in runnable.inputs}
            self._places.append({name: self._kept.add(known[name]) for name in sorted(read)})

    def changed(self, names: Collection[str], change: Callable[[ir.Model], None]) -> Changed | None:
        """The model with a change of the segments that give some tensors; None where none does.

        `change` works on a segment's model in place; it may add inputs, and renames nothing.
        """
        own: dict[int, CpuModel | None] = {}
        for index, segment in enumerate(self._segments):
            if not segment.makes.isdisjoint(names):
                copy = segment.model.clone()
                change(copy)
                own[index] = _runnable(copy)
        return Changed(self, own) if own else None

    def like(self, model: ir.Model, finish: Callable[[ir.Model], ir.Model]) -> Changed | None:
        """Another model of the same inputs and outputs, most of whose nodes are this one's.

        From the first segment with a node that it has not to the last one its own nodes run, which
        `finish` may change before. None where the model is better run as a whole.
        """
        alike = {
            name
            for node in model.graph
            if (mine := self._nodes.get(name := str(node.outputs[0].name))) is not None
            and _alike(node, mine)
        }
        touched = [
            index
            for index, segment in enumerate(self._segments)
            if any(name in self._nodes and name not in alike for name in segment.makes)
        ]
        if not touched:
            return Changed(self, {})
        first, last = touched[0], touched[-1]
        if last - first == len(self._segments) - 1:
            return None
        read = {str(v.name) for one in self._segments[last + 1 :] for v in one.model.graph.inputs}
        inside = {name for one in self._segments[first : last + 1] for name in one.makes}
        before = {name for one in self._segments[:first] for name in one.makes}
        fed = {str(value.name) for value in model.graph.inputs}
        known = {name for name in self._places[0] if name in before or name in fed}
        given = inside & (read | set(self.outputs))
        if not given.issubset(str(value.name) for node in model.graph for value in node.outputs):
            return None
        part = finish(_part(model, given, known))
        own: dict[int, CpuModel | None] = dict.fromkeys(range(first, last + 1))
        return Changed(self, {**own, first: _runnable(part)})

    def run(self, index: int, own: Mapping[int, CpuModel | None], more: Feeds) -> dict[str, Array]:
        """Outputs for a sample with some segments replaced, by nothing where one does for several.

        Those before the first do not run.
        """
        known: dict[str, Array] = dict(more)
        for number in range(min(own, default=len(self._runnables)), len(self._runnables)):
            runnable = own.get(number, self._runnables[number])
            if runnable is None:
                continue
            feeds = {
                name: known[name] if name in known else self._kept.read(self._places[index][name])
                for name in runnable.inputs
            }
            known |= runnable.run(feeds)
        truth = self.truth[index]
        return {name: known.get(name, truth[name]) for name in self.outputs}


class Changed:
    """A model of which some segments are changed."""

    def __init__(self, segments: Segments, own: Mapping[int, CpuModel | None]) -> None:
        self._segments, self._own = segments, own

    def run(self, index: int, more: Feeds = _NOTHING) -> dict[str, Array]:
        """Outputs for a sample, by its number; `more` feeds the inputs that the change added."""
        return self._segments.run(index, self._own, more)


def _runnable(model: ir.Model) -> CpuModel:
    return CpuModel(model, threads=processors(), spin=False)


def divided(model: ir.Model) -> list[Segment]:
    """A model in segments that take about as long as each other, cut where least flows.

    One segment where nodes hold graphs of their own, which may read any tensor, and where no node
    gives an output.
    """
    nodes = tuple(model.graph)
    nested = any(any(True for _ in subgraphs(node)) for node in nodes)
    computed = all(value.producer() is not None for value in model.graph.outputs)
    cuts = _cuts(model, nodes) if computed and not nested else []
    ends = [*cuts, len(nodes)]
    found = (_segment(model, *ends_of) for ends_of in zip([0, *cuts], ends, strict=True))
    return [segment for segment in found if segment.model.graph.outputs]


def _cuts(model: ir.Model, nodes: Sequence[ir.Node]) -> list[int]:
    """Places in front of which the model is cut, ascending."""
    work = list(accumulate(cost.macs + _BYTE * cost.bytes for cost in node_costs(model)))
    flow = _flow(model.graph, nodes)
    if not work or not work[-1]:
        return []
    cuts: list[int] = []
    for number in range(1, _SEGMENTS):
        near = [(number + shift) * work[-1] / _SEGMENTS for shift in (-_NEAR, _NEAR)]
        first, last = (bisect_left(work, one) + 1 for one in near)
        places = [place for place in range(first, min(last, len(nodes) - 1) + 1) if place > 0]
        best = min(places, key=lambda place: flow[place], default=None)
        if best is not None and flow[best] < _NEVER and best > (cuts[-1] if cuts else 0):
            cuts.append(best)
    return cuts


def _flow(graph: ir.Graph, nodes: Sequence[ir.Node]) -> list[int]:
    """Bytes that flow from in front of each place to behind it; more than all where it cannot."""
    places = {id(node): place for place, node in enumerate(nodes)}
    change = [0] * (len(nodes) + 2)
    born = [(value, -1) for value in graph.inputs]
    born += [(value, place) for place, node in enumerate(nodes) for value in node.outputs]
    for value, place in born:
        read = [places.get(id(use.node), len(nodes)) for use in value.uses()]
        last = len(nodes) if value.is_graph_output() else max(read, default=place)
        if read and min(read) <= place:
            return [_NEVER] * (len(nodes) + 1)  # not in the order in which they compute
        size = _bytes(value)
        change[place + 1] += size
        change[last + 1] -= size
    return list(accumulate(change))


def _bytes(value: ir.Value) -> int:
    shape = static_shape(value)
    plain = isinstance(value.type, ir.TensorType) and value.dtype not in (None, ir.DataType.STRING)
    if shape is None or not plain or value.dtype is None:
        return _NEVER
    return (prod(shape) * value.dtype.bitwidth + 7) // 8


def _segment(model: ir.Model, first: int, last: int) -> Segment:
    """The nodes from place `first` on to in front of place `last`."""
    copy = model.clone()
    graph, nodes = copy.graph, tuple(copy.graph)
    inside = nodes[first:last]
    own = {id(node) for node in inside}
    made = [value for node in inside for value in node.outputs]
    given = [
        value
        for value in made
        if value.is_graph_output() or any(id(use.node) not in own for use in value.uses())
    ]
    read = dict.fromkeys(
        value
        for node in inside
        for value in node.inputs
        if value is not None and not value.is_initializer()
    )
    taken = [value for value in read if value.producer() is None or id(value.producer()) not in own]
    if len(inside) < len(nodes):
        graph.outputs.clear()
        graph.outputs.extend(given)
        graph.inputs.clear()
        graph.inputs.extend(_as_input(value) for value in taken)
        RemoveUnusedNodesPass()(copy)
    return Segment(copy, frozenset(str(value.name) for value in made))


def _as_input(value: ir.Value) -> ir.Value:
    """What is read of another segment, in the place of the node that gives it."""
    if value.producer() is None:
        return value
    new = ir.Value(name=value.name, shape=value.shape, type=value.type)
    value.replace_all_uses_with(new)
    value.name = f"{value.name}_elsewhere"
    return new


def _part(model: ir.Model, given: Collection[str], known: Collection[str]) -> ir.Model:
    """What computes some values of a model from others that are known, in a copy."""
    copy = model.clone()
    graph = copy.graph
    values = {str(value.name): value for node in graph for value in node.outputs}
    left = [values[name] for name in sorted(given)]
    graph.outputs.clear()
    graph.outputs.extend(left)
    read: dict[ir.Value, None] = {}
    seen: set[ir.Value] = set(left)
    while left:
        node = left.pop().producer()
        for value in node.inputs if node is not None else ():
            if value is None or value.is_initializer() or value in seen:
                continue
            seen.add(value)
            if value.producer() is None or value.name in known:
                read[value] = None
            else:
                left.append(value)
    graph.inputs.clear()
    graph.inputs.extend(_as_input(value) for value in read)
    RemoveUnusedNodesPass()(copy)
    return copy


def _alike(one: ir.Node, other: ir.Node) -> bool:
    """Whether two nodes compute the same of values of the same names, and name it alike."""
    if (one.op_type, one.domain) != (other.op_type, other.domain):
        return False
    if len(one.inputs) != len(other.inputs) or one.attributes.keys() != other.attributes.keys():
        return False
    if [value.name for value in one.outputs] != [value.name for value in other.outputs]:
        return False
    same = (a.value == other.attributes[name].value for name, a in one.attributes.items())
    return all(same) and all(map(_same, one.inputs, other.inputs))


def _same(one: ir.Value | None, other: ir.Value | None) -> bool:
    if one is None or other is None:
        return one is other
    constants = one.const_value, other.const_value
    if not (one.is_initializer() and other.is_initializer()):
        return one.name == other.name and one.is_initializer() == other.is_initializer()
    first, second = constants
    if first is second or first is None or second is None:
        return first is second
    alike = first.dtype == second.dtype and first.shape == second.shape
    return alike and first.size <= _FEW and np.array_equal(first.numpy(), second.numpy())
