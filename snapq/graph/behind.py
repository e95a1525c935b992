"""What is computed from the results of operators of some types."""

from __future__ import annotations

from collections.abc import Collection

import onnx_ir as ir

__all__ = ["names_behind"]


def names_behind(graph: ir.Graph, operators: Collection[str]) -> frozenset[str]:
    """Names of all tensors of a sorted graph that nodes of these types give, or that rest on them.

    What the graphs inside of nodes do is not looked at.
    """
    found: set[ir.Value] = set()
    for node in graph:
        if node.op_type in operators or any(value in found for value in node.inputs if value):
            found.update(node.outputs)
    return frozenset(str(value.name) for value in found)
