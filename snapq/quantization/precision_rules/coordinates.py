"""Which nodes compute the places at which a GridSample reads.

Of an axis of 64 elements, a step of 8 bits is a quarter of an element, and of longer ones more.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.operators import Family, Trait, having, in_families

__all__ = ["coordinates"]

_GRID = 1
"""The input of GridSample that holds the places."""
_THROUGH = (
    *in_families(Family.ARITHMETIC),
    *having(Trait.MOVES),
    *("Resize", "Tanh", "Sigmoid", "Clip"),
)
_FROM = having(Trait.SUMS_CHANNELS)
"""Layers: what they read is no place yet."""


def coordinates(graph: ir.Graph) -> frozenset[str]:
    """Names of the GridSample nodes, and of those that make their grids, back to a layer."""
    found: set[str] = set()
    waiting: list[ir.Value | None] = []
    for node in graph:
        if node.op_type == "GridSample":
            found.add(str(node.name))
            waiting.append(node.inputs[_GRID])
    while waiting:
        value = waiting.pop()
        maker = value.producer() if value is not None else None
        if maker is None or str(maker.name) in found or maker.op_type not in (*_THROUGH, *_FROM):
            continue
        found.add(str(maker.name))
        if maker.op_type in _THROUGH:
            waiting.extend(maker.inputs)
    return frozenset(found)
