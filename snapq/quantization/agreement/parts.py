"""Parts of a Q/DQ or float model that run by themselves: up to a node, or some nodes alone.

A part is cut where tensors are held: an input of it is what a Q takes, so that the value is
quantized as in the whole model, and an output is what a DQ gives.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

__all__ = ["Part", "Parts"]

_HOLDS = ("QuantizeLinear", "DequantizeLinear")


@dataclass(frozen=True)
class Part:
    """A part of a model.

    Attributes:
        inputs: tensors that are fed, by the names that they have in the whole model.
        sources: the tensor of the whole model whose values feed each of them.
        outputs: tensors that it gives, by their names in the whole model.
    """

    inputs: tuple[str, ...]
    sources: tuple[str, ...]
    outputs: tuple[str, ...]

    def of(self, model: ir.Model) -> ir.Model:
        """The part of a model, or of another one that has tensors of these names."""
        copy = model.clone()
        graph = copy.graph
        values = {str(v.name): v for v in graph.inputs}
        values |= {str(v.name): v for node in graph for v in node.outputs}
        graph.outputs.clear()
        graph.outputs.extend(values[name] for name in self.outputs)
        for name in self.inputs:
            old = values[name]
            if old.producer() is None:
                continue
            fed = ir.Value(name=f"{name}_fed", shape=old.shape, type=old.type)
            for node, index in tuple(old.uses()):
                node.replace_input_with(index, fed)
            graph.inputs.append(fed)
        RemoveUnusedNodesPass()(copy)
        used = [value for value in graph.inputs if value.uses() or value.is_graph_output()]
        graph.inputs.clear()
        graph.inputs.extend(used)
        for value in used:
            value.name = str(value.name).removesuffix("_fed")
        return copy


class Parts:
    """The parts of one model.

    Args:
        model: a model with fixed shapes, in topological order; left as it is.
    """

    def __init__(self, model: ir.Model) -> None:
        self.model = model
        self.nodes = tuple(
            node
            for node in model.graph
            if node.op_type not in _HOLDS and any(_computed(v) for v in node.inputs)
        )
        """Nodes that compute, in order."""

    @cached_property
    def _position(self) -> dict[ir.Node, int]:
        return {node: index for index, node in enumerate(self.nodes)}

    def up_to(self, last: int) -> Part:
        """All up to the node at that position; gives what that node and those behind it read."""
        outputs = self._given(0, last)
        return Part(tuple(str(v.name) for v in self.model.graph.inputs), (), tuple(outputs))

    def alone(self, first: int, last: int) -> Part:
        """The nodes between two positions by themselves."""
        inside = set(self.nodes[first : last + 1])
        fed: dict[str, str] = {}
        for node in inside:
            for value in node.inputs:
                taken = _held(value)
                if taken is None or not _computed(taken) or taken.producer() in inside:
                    continue
                fed[str(taken.name)] = _read_back(taken)
        ordered = sorted(fed)
        outputs = tuple(self._given(first, last))
        return Part(tuple(ordered), tuple(fed[name] for name in ordered), outputs)

    def position(self, name: str) -> int:
        """The position of a node by name."""
        return next(i for i, node in enumerate(self.nodes) if node.name == name)

    def _given(self, first: int, last: int) -> list[str]:
        """What nodes between two positions give to others, as it is read."""
        found: dict[str, None] = {}
        for node in self.nodes[first : last + 1]:
            for value in node.outputs:
                if value.dtype is None or not (value.uses() or value.is_graph_output()):
                    continue
                users = list(_users(value))
                inside = [u for u in users if first <= self._position.get(u, -1) <= last]
                if len(inside) < len(users) or not users or _leaves(value):
                    found[_read_back(value)] = None
        return list(found)


def _computed(value: ir.Value | None) -> bool:
    """Whether a tensor depends on what is fed."""
    seen: set[ir.Value] = set()
    left = [value]
    while left:
        one = left.pop()
        if one is None or one in seen:
            continue
        seen.add(one)
        if one.is_graph_input():
            return True
        producer = one.producer()
        if producer is not None:
            if producer.op_type not in _HOLDS and producer.op_type != "Constant":
                return True
            left.extend(producer.inputs[:1])
    return False


def _held(value: ir.Value | None) -> ir.Value | None:
    """What was quantized and read back as this tensor; the tensor itself where it was not."""
    while value is not None:
        producer = value.producer()
        if producer is None or producer.op_type not in _HOLDS:
            return value
        value = producer.inputs[0]
    return value


def _read_back(value: ir.Value) -> str:
    """The name under which a tensor is read: what the DQ behind its Q gives."""
    found = value
    while True:
        following = [node for node, _ in found.uses() if node.op_type in _HOLDS]
        if found.is_graph_output() or len(following) != len(tuple(found.uses())) or not following:
            return str(found.name)
        after = following[0].outputs[0]
        if following[0].op_type == "QuantizeLinear" and not after.uses():
            return str(found.name)
        found = after


def _users(value: ir.Value) -> Iterable[ir.Node]:
    """The nodes that compute with a tensor, through Q and DQ."""
    for node, _ in value.uses():
        if node.op_type in _HOLDS:
            yield from _users(node.outputs[0])
        else:
            yield node


def _leaves(value: ir.Value) -> bool:
    """Whether a tensor, or what is read back of it, is an output of the model."""
    if value.is_graph_output():
        return True
    held = (node for node, _ in value.uses() if node.op_type in _HOLDS)
    return any(_leaves(node.outputs[0]) for node in held)
