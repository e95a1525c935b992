"""What one node says: its operator, inputs, attributes and the axes that it reduces."""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit.constants import constant_ints
from snapq.graph.edit.neighbours import rank


def input_at(node: ir.Node, index: int) -> ir.Value | None:
    """The input at `index`; None where it is left out."""
    return node.inputs[index] if index < len(node.inputs) else None


def int_attribute(node: ir.Node, name: str, default: int) -> int:
    """An integer attribute, or its default."""
    attribute = node.attributes.get(name)
    return default if attribute is None else int(attribute.as_int())


def float_attribute(node: ir.Node, name: str, default: float) -> float:
    """A float attribute, or its default."""
    attribute = node.attributes.get(name)
    return default if attribute is None else float(attribute.as_float())


def ints_attribute(node: ir.Node, name: str) -> tuple[int, ...] | None:
    """An attribute that is a list of integers, or None."""
    attribute = node.attributes.get(name)
    return None if attribute is None else tuple(int(item) for item in attribute.as_ints())


def string_attribute(node: ir.Node, name: str, default: str) -> str:
    """A string attribute, or its default."""
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_string()


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
        return () if int_attribute(node, "noop_with_empty_axes", 0) else tuple(range(dims))
    return tuple(sorted(axis % dims for axis in axes))
