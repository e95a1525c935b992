"""What is computed from the results of operators of some types."""

from __future__ import annotations

from collections.abc import Collection

import onnx_ir as ir

from snapq.operators import Family, spec_of

__all__ = ["CHOOSES", "chosen_outputs", "gives", "names_behind"]

CHOOSES = ("TopK", "NonMaxSuppression", "NonZero")
"""What chooses rows, and their order, by computed values."""


def chosen_outputs(graph: ir.Graph) -> list[str]:
    """Names of the outputs whose rows, or the order of these, are computed."""
    behind = names_behind(graph, CHOOSES)
    return [str(value.name) for value in graph.outputs if str(value.name) in behind]


def names_behind(graph: ir.Graph, operators: Collection[str]) -> frozenset[str]:
    """Names of all tensors of a sorted graph that nodes of these types give, or that rest on them.

    What the graphs inside of nodes do is not looked at.
    """
    found: set[ir.Value] = set()
    for node in graph:
        if node.op_type in operators or any(value in found for value in node.inputs if value):
            found.update(node.outputs)
    return frozenset(str(value.name) for value in found)


def gives(value: ir.Value, operators: Collection[str]) -> bool:
    """Whether a node of these types is behind the last layers (Conv, Gemm) in front of a tensor."""
    left, seen = [value], set[ir.Node]()
    while left:
        node = left.pop().producer()
        if node is None or node in seen:
            continue
        if node.op_type in operators:
            return True
        seen.add(node)
        if spec_of(node).family not in (Family.CONV, Family.GEMM):
            left += [one for one in node.inputs if one is not None]
    return False
