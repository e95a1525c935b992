"""What one node says, beyond what `onnx_ir` gives: inputs left out, lists, reduced axes."""

from __future__ import annotations

from collections.abc import Sequence

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


def permutation(node: ir.Node) -> tuple[int, ...]:
    """The order of a Transpose; empty where it is not said and the rank is unknown."""
    return ints_attribute(node, "perm") or tuple(reversed(range(rank(node.inputs[0]) or 0)))


def ints_input(node: ir.Node, index: int, default: tuple[int, ...]) -> tuple[int, ...] | None:
    """The constant integers of an input; `default` where it is left out, None where computed."""
    given = input_at(node, index)
    return default if given is None else constant_ints(given)


def same_padding(node: ir.Node, sizes: Sequence[int], kernel: Sequence[int]) -> list[int]:
    """Padding of each spatial axis, before and after together, of `auto_pad` SAME."""
    strides = ints_attribute(node, "strides") or (1,) * len(kernel)
    dilations = ints_attribute(node, "dilations") or (1,) * len(kernel)
    return [
        max(0, (-(-size // stride) - 1) * stride + (window - 1) * dilation + 1 - size)
        for size, window, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True)
    ]


def pad_widths(node: ir.Node, dims: int) -> list[tuple[int, int]] | None:
    """What a Pad puts before and after each of `dims` axes; None where that is computed."""
    pads, axes = constant_ints(input_at(node, 1)), ints_input(node, 3, tuple(range(dims)))
    if pads is None or axes is None:
        return None
    widths = [(0, 0)] * dims
    for axis, before, after in zip(axes, pads, pads[len(axes) :], strict=False):
        widths[axis % dims] = before, after
    return widths


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
