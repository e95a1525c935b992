"""What one node says, beyond what `onnx_ir` gives: inputs left out, lists, reduced axes."""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit.constants import constant_ints
from snapq.graph.edit.neighbours import rank


def input_at(node: ir.Node, index: int) -> ir.Value | None:
    """The input at `index`; None where it is left out."""
    return node.inputs[index] if index < len(node.inputs) else None


def ints_attribute(node: ir.Node, name: str) -> tuple[int, ...] | None:
    """An attribute that is a list of integers, as a tuple to compare and add to; or None."""
    values = node.attributes.get_ints(name)
    return None if values is None else tuple(values)


def reduced_axes(node: ir.Node) -> tuple[int, ...] | None:
    """The axes that a Reduce operator (opset 18) reduces, not negative and sorted.

    None where they are not constant or the rank of the input is unknown.
    """
    dims = rank(node.inputs[0])
    if dims is None:
        return None
    given = input_at(node, 1)
    axes = constant_ints(given) if given is not None else ()
    if axes is None:
        return None
    if not axes:
        return () if node.attributes.get_int("noop_with_empty_axes", 0) else tuple(range(dims))
    return tuple(sorted(axis % dims for axis in axes))
