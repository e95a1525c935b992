"""Keeps what an operator of a fixed range gives apart from wider tensors of one encoding.

Data movement holds all that it moves in one encoding, but the NPU computes Sigmoid, Tanh and
Softmax right in their own only: a Sigmoid that a ScatterElements writes into a layer's output
would clamp the layer to 0 to 1, and in the encoding of the layer it comes out at -8 to 5 dB. A Q
behind its DQ is no way out, as the compiler takes both into the Sigmoid. With a product by 1
between them both keep their values: 38 dB at w8a8, 46 at w8a16 (simulator of QAIRT 2.51, v68, v73,
v81).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Names, add_constant
from snapq.operators import Encodings, spec
from snapq.quantization.encodings import Encoding
from snapq.quantization.qdq.decisions import Decision, constant
from snapq.quantization.qdq.groups import Groups, constant_range, within
from snapq.quantization.qdq.passes.tie_moved import exceeds
from snapq.quantization.qdq.plan import QdqPlan

__all__ = ["separate_fixed"]


def separate_fixed(plan: QdqPlan) -> QdqPlan:
    """Puts a product by 1 in front of movement that brings a fixed range together with others.

    1. For each input of a node whose inputs and outputs share one encoding, which comes from an
       operator of a fixed range through data movement alone, and
    2. where an output of the node can hold what lies outside of that range: of another input, of a
       constant, or by interpolation; or has another encoding that is imposed,
    3. the node reads a product of the input and 1, which has an encoding of its own.
    """
    graph = _Graph(plan)
    decisions: dict[ir.Node, Decision] = {}
    for node, decision in plan.decisions.items():
        for index in graph.apart(node):
            product = graph.multiply(node, index)
            decisions[product] = Decision(spec("Mul"), decision.dtype)
        decisions[node] = decision
    return replace(plan, decisions=decisions)


@dataclass
class _Graph:
    """The graph of a plan, and how its tensors will be held."""

    plan: QdqPlan

    def __post_init__(self) -> None:
        self._names = Names(self.plan.graph)
        self._known: dict[ir.Value, Encoding | None] = {}

    @property
    def _groups(self) -> Groups:
        return self.plan.groups

    def apart(self, node: ir.Node) -> list[int]:
        """The inputs that a node of shared encodings must not be tied to."""
        decision, result = self.plan.decisions[node], node.outputs[0]
        if not _is_shared(decision) or result not in self._groups:
            return []
        data = self._data(node, decision)
        known = {index: self._encoding(value) for index, value in data.items()}
        fixed = {encoding for encoding in known.values() if encoding is not None}
        if not fixed:
            return []
        imposed = self._groups.fixed(result)
        alike = len(fixed | ({imposed} - {None})) == 1 and not exceeds(node)
        if alike and all(_holds(next(iter(fixed)), value, known[i]) for i, value in data.items()):
            return []
        return [i for i, encoding in known.items() if encoding is not None and encoding != imposed]

    def multiply(self, node: ir.Node, index: int) -> ir.Node:
        """Puts a product by 1 in front of an input of a node."""
        value, dtype = node.inputs[index], self.plan.decisions[node].dtype
        encoding = self._encoding(value) if value is not None else None
        assert value is not None
        assert dtype is not None
        assert encoding is not None
        stem = self._names.fresh(f"{value.name}_requantized", also=("", "_one"))
        one = add_constant(self.plan.graph, f"{stem}_one", np.array(1, np.float32))
        product = ir.node("Mul", [value, one], name=self._names.fresh_node(f"{node.name}_Mul"))
        result = product.outputs[0]
        result.name, result.type, result.shape = stem, value.type, value.shape
        self._names.take(stem)
        self._names.take(f"{stem}_one")
        self.plan.graph.insert_before(node, product)
        node.replace_input_with(index, result)
        self._groups.add(result, dtype, None)
        self._groups.forget_source(result)
        self._groups.include(result, (float(encoding.minimum), float(encoding.maximum)))
        return product

    def _data(self, node: ir.Node, decision: Decision) -> Mapping[int, ir.Value]:
        return {
            index: value
            for index, value in enumerate(node.inputs)
            if value is not None and decision.role(index).quantized
        }

    def _encoding(self, value: ir.Value) -> Encoding | None:
        """The encoding of what comes from an operator of a fixed range through movement alone."""
        if value not in self._known:
            self._known[value] = self._traced(value)
        return self._known[value]

    def _traced(self, value: ir.Value) -> Encoding | None:
        node = value.producer()
        decision = self.plan.decisions.get(node) if node is not None else None
        if node is None or decision is None or value not in self._groups:
            return None
        if not _is_shared(decision):
            return self._groups.fixed(value) if spec(node.op_type).npu.fixed_range else None
        first = self._encoding(node.inputs[0]) if node.inputs[0] is not None else None
        if first is None or exceeds(node):
            return None
        data = self._data(node, decision)
        alike = all(_holds(first, each, self._encoding(each)) for each in data.values())
        return first if alike else None


def _is_shared(decision: Decision) -> bool:
    return decision.encodings is Encodings.SHARED and decision.dtype is not None


def _holds(encoding: Encoding, value: ir.Value, own: Encoding | None) -> bool:
    """Whether an encoding holds all values of an input, but for a step at its ends."""
    tensor = constant(value)
    if tensor is None:
        return own == encoding
    return within(constant_range(tensor), encoding)
