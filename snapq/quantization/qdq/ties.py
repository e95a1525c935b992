"""Which tensors share an encoding, and so which tensors calibration must watch.

Three kinds of tie, each a rule of the provider or a saving on the NPU:

1. Data movement: input and output must be encoded alike, or the provider does not take the unit.
2. A Relu or Clip that alone reads a computed tensor: with the encoding of its output on its input,
   saturation does its work, and no code is spent on values that it would cut off.
3. Concat: with one encoding it costs nothing. The tie is not made where it would hurt another
   reader of an input, see `Groups.join`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from snapq.operators import Encodings
from snapq.quantization.encodings import Encoding, QuantType, asymmetric
from snapq.quantization.precision_rules.ranges import fixed_output
from snapq.quantization.qdq.decisions import (
    Decision,
    constant,
    is_float,
)

__all__ = ["Groups", "Range", "build"]

Range = tuple[float, float]

_MUCH_SMALLER = 0.25
"""An input of a Concat with other readers keeps its own encoding where its range is below this
share of the range of all: it would lose two bits and more."""
_MASK = 1e8
"""Constants of at least this size are no numbers to compute with, but masks."""
_MASKED = 2.0**15


@dataclass
class _Group:
    """Tensors with one encoding."""

    dtype: QuantType
    members: list[ir.Value]
    sources: list[ir.Value] = field(default_factory=list)
    """Members whose observed ranges make up the range of the group."""
    constants: list[Range] = field(default_factory=list)
    fixed: Encoding | None = None


class Groups:
    """Tensors grouped by shared encoding."""

    def __init__(self) -> None:
        self._group: dict[ir.Value, _Group] = {}

    def add(self, value: ir.Value, dtype: QuantType, fixed: Encoding | None) -> None:
        """Adds a tensor that shares with none, and is a source of its own range."""
        self._group[value] = _Group(dtype, [value], [value], fixed=fixed)

    def __contains__(self, value: ir.Value) -> bool:
        return value in self._group

    def dtype(self, value: ir.Value) -> QuantType:
        """The integer type of a tensor."""
        return self._group[value].dtype

    def fixed(self, value: ir.Value) -> Encoding | None:
        """The encoding imposed on a tensor's group."""
        return self._group[value].fixed

    def tie(self, first: ir.Value, second: ir.Value) -> bool:
        """Gives two tensors one encoding; False where types or imposed encodings differ."""
        a, b = self._group[first], self._group[second]
        if a is b:
            return True
        if a.dtype is not b.dtype or (a.fixed and b.fixed and a.fixed != b.fixed):
            return False
        a.members += b.members
        a.sources += b.sources
        a.constants += b.constants
        a.fixed = a.fixed or b.fixed
        for member in b.members:
            self._group[member] = a
        return True

    def forget_source(self, value: ir.Value) -> None:
        """Leaves the range of a tensor out of its group's: other members speak for it."""
        self._group[value].sources.remove(value)

    def include(self, value: ir.Value, limits: Range) -> None:
        """Widens the range of a tensor's group by that of a constant."""
        self._group[value].constants.append(limits)

    def observed(self) -> tuple[ir.Value, ...]:
        """Tensors whose range calibration must find, in graph order."""
        sources = {
            source for group in self._group.values() if not group.fixed for source in group.sources
        }
        return tuple(value for value in self._group if value in sources)

    def range(self, value: ir.Value, ranges: Mapping[ir.Value, Range]) -> Range:
        """The range of a tensor's group."""
        group = self._group[value]
        if group.fixed is not None:
            return float(group.fixed.minimum.min()), float(group.fixed.maximum.max())
        parts = [ranges[source] for source in group.sources] + group.constants
        return min(p[0] for p in parts), max(p[1] for p in parts)

    def join(self, node: ir.Node, inputs: list[ir.Value], ranges: Mapping[ir.Value, Range]) -> None:
        """Ties the inputs of a Concat to its output, where nothing speaks against it.

        An imposed encoding is not carried over to the others, unless all have the same one. An
        input with other readers is not tied to a range that is much larger than its own.
        """
        output = node.outputs[0]
        imposed = {self.fixed(value) for value in inputs}
        if len(imposed) == 1 and None not in imposed and self.fixed(output) is None:
            for value in inputs:
                self.tie(output, value)
            return
        low, high = self.range(output, ranges)
        for value in inputs:
            own = self.range(value, ranges)
            alone = len(value.uses()) == 1 and not value.is_graph_output()
            small = own[1] - own[0] < _MUCH_SMALLER * (high - low)
            if self.fixed(value) or self.fixed(output) or (small and not alone):
                continue
            self.tie(output, value)

    def encoding(self, value: ir.Value, ranges: Mapping[ir.Value, Range]) -> Encoding:
        """The encoding of a tensor, once ranges are known."""
        group = self._group[value]
        return group.fixed or asymmetric(*self.range(value, ranges), group.dtype)


def build(
    graph: ir.Graph, decisions: Mapping[ir.Node, Decision], fixed: Mapping[str, Encoding]
) -> Groups:
    """Groups the tensors that will be quantized, by ties of the first and the second kind.

    Args:
        graph: the main graph.
        decisions: what happens to each node.
        fixed: encodings imposed by the caller, by tensor name.
    """
    groups = Groups()
    for value in graph.inputs:
        imposed = fixed.get(str(value.name))
        dtype = imposed.dtype if imposed else _wanted_type(value, decisions)
        if dtype and is_float(value):
            groups.add(value, dtype, imposed)
    for node, decision in decisions.items():
        for value in node.outputs:
            if not is_float(value) or not (value.uses() or value.is_graph_output()):
                continue
            dtype = decision.dtype or _wanted_type(value, decisions)
            if dtype:
                groups.add(value, dtype, _imposed(node, value, decision, fixed))
    for node, decision in decisions.items():
        if decision.encodings is Encodings.SHARED:
            _tie_movement(groups, node, decision)
    for node, decision in decisions.items():
        if decision.encodings is Encodings.CLAMPED and decision.dtype:
            _tie_clamp(groups, node, decisions)
    return groups


def _imposed(
    node: ir.Node, value: ir.Value, decision: Decision, fixed: Mapping[str, Encoding]
) -> Encoding | None:
    given = fixed.get(str(value.name))
    if given is not None or decision.dtype is None:
        return given
    return fixed_output(node.op_type, decision.dtype)


def _wanted_type(value: ir.Value, decisions: Mapping[ir.Node, Decision]) -> QuantType | None:
    """The type in which the first quantized reader takes a tensor that comes in float."""
    for consumer, index in value.uses():
        decision = decisions.get(consumer, Decision())
        if decision.dtype is not None and decision.role(index).quantized:
            return decision.dtype
    return None


def _tie_movement(groups: Groups, node: ir.Node, decision: Decision) -> None:
    outputs = [value for value in node.outputs if value in groups]
    if decision.dtype is None or not outputs:
        return
    for output in outputs[1:]:
        groups.tie(outputs[0], output)
    tied = False
    for index, value in enumerate(node.inputs):
        if value is None or not decision.role(index).quantized:
            continue
        tensor = constant(value)
        if tensor is not None:
            groups.include(outputs[0], constant_range(tensor))
            tied = tied or index == 0
        elif value in groups:
            tied = groups.tie(value, outputs[0]) or tied
    if tied:
        for output in outputs:
            groups.forget_source(output)


def _tie_clamp(groups: Groups, node: ir.Node, decisions: Mapping[ir.Node, Decision]) -> None:
    """Ties a clamp to what it alone reads, back through data movement to where it is computed."""
    chain = []
    value = node.inputs[0]
    while True:
        if value is None or value not in groups or len(value.uses()) != 1:
            return
        producer = value.producer()
        if producer is None or value.is_graph_output() or groups.fixed(value):
            return
        decision = decisions[producer]
        if decision.rule is None or decision.dtype is None:
            return
        chain.append(value)
        if decision.rule.encodings is not Encodings.SHARED:
            break
        if len(producer.outputs) != 1:
            return
        value = producer.inputs[0]
    if decision.rule.encodings is not Encodings.OWN or node.outputs[0] not in groups:
        return
    if not groups.tie(node.outputs[0], chain[-1]):
        return
    groups.forget_source(chain[-1])


def constant_range(tensor: ir.TensorProtocol) -> Range:
    """Smallest and largest value of a constant; `(0, 0)` where it has none.

    Values that mask logits (-inf, -3e38) count as no larger than what any integer type can hold
    beside them.
    """
    array = np.asarray(tensor.numpy(), np.float64)
    array = np.where(np.abs(array) < _MASK, array, np.sign(array) * _MASKED)
    return (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
