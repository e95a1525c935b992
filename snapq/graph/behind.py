"""What is computed from the results of operators of some types."""

from __future__ import annotations

from collections.abc import Collection

import onnx_ir as ir

from snapq.operators import Family, Trait, spec_of

__all__ = ["CHOOSES", "chosen_outputs", "gives", "names_behind", "unsteady_outputs"]

CHOOSES = ("TopK", "NonMaxSuppression", "NonZero")
"""What chooses rows, and their order, by computed values."""
_BEST = ("ArgMax", "ArgMin")


def chosen_outputs(graph: ir.Graph) -> list[str]:
    """Names of the outputs whose rows, or the order of these, are computed."""
    behind = names_behind(graph, CHOOSES)
    return [str(value.name) for value in graph.outputs if str(value.name) in behind]


def unsteady_outputs(graph: ir.Graph) -> list[str]:
    """Names of the outputs that rounding may change by much, however right the kernels are.

    1. Those of `chosen_outputs`.
    2. Real numbers that rest on the place of a computed maximum or minimum, such as the codes of a
       codebook and matches that are each other's best. The place itself is a label, and that of
       the largest of some 64-bit numbers, such as tokens, is sure.

    Args:
        graph: sorted.
    """
    behind, best = set(names_behind(graph, CHOOSES)), set[str]()
    for node in graph:
        read = {str(value.name) for value in node.inputs if value is not None}
        made = [str(value.name) for value in node.outputs]
        source = node.inputs[0] if node.inputs else None
        if node.op_type in _BEST and source is not None and source.dtype != ir.DataType.INT64:
            best.update(made)
        elif read & behind or (read & best and _is_real(node) and not _moves_label(node, best)):
            behind.update(made)
        elif read & best:
            best.update(made)
    return [str(value.name) for value in graph.outputs if str(value.name) in behind]


def _moves_label(node: ir.Node, best: Collection[str]) -> bool:
    """Whether a place, or what is made of places alone, stays what it is."""
    source = node.inputs[0]
    moved = node.op_type in ("Cast", "Identity") or spec_of(node).has(Trait.MOVES)
    return moved and source is not None and str(source.name) in best


def _is_real(node: ir.Node) -> bool:
    return any(value.dtype == ir.DataType.FLOAT for value in node.outputs)


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
