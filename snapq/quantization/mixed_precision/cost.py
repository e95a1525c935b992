"""Time on the NPU as the engine sees it: a total, and what each node has part in it.

Who estimates is the caller's business; the engine is given a `Estimate`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import onnx_ir as ir

from snapq.operators import Encodings, quantized

__all__ = ["Cost", "Estimate", "by_float_node", "follows"]

_CONVERSIONS = ("QuantizeLinear", "DequantizeLinear", "Cast")


@dataclass(frozen=True)
class Cost:
    """An estimate of one model.

    Attributes:
        cycles: of the whole model.
        us: the same in microseconds.
        nodes: cycles by node name, conversions too; what belongs to no node is left out.
        missing: operators that have no cost in it, so that it is too low.
    """

    cycles: float
    us: float
    nodes: Mapping[str, float] = field(default_factory=dict)
    missing: int = 0

    def compares_with(self, other: Cost) -> bool:
        """Whether fewer cycles than the other's are less time: not where more have no cost."""
        return self.missing <= other.missing


Estimate = Callable[[ir.Model], Cost]
"""Estimates a model with Q/DQ, or a float one."""


def by_float_node(model: ir.Model, cost: Cost) -> dict[str, float]:
    """Cycles by node of the float model: a conversion counts for the float node beside it.

    Conversions of graph inputs and outputs belong to the boundary, and to no node.
    """
    shares: dict[str, float] = {}
    for node in model.graph:
        spent = cost.nodes.get(str(node.name), 0.0)
        if not spent:
            continue
        owner = _owner(node) if node.op_type in _CONVERSIONS else node
        if owner is not None:
            name = str(owner.name)
            shares[name] = shares.get(name, 0.0) + spent
    return shares


def follows(node: ir.Node) -> bool:
    """Whether a node only moves or clamps, and so has the type of what it is given."""
    rule = quantized(node)
    return rule is not None and rule.encodings in (Encodings.SHARED, Encodings.CLAMPED)


def _owner(conversion: ir.Node) -> ir.Node | None:
    """The node that a Q, DQ or Cast is there for."""
    if conversion.op_type == "QuantizeLinear":
        source = conversion.inputs[0]
        return source.producer() if source is not None else None
    node: ir.Node | None = conversion
    while node is not None and node.op_type in _CONVERSIONS:
        users = [user for user, _ in node.outputs[0].uses()]
        node = users[0] if users else None
    return node
