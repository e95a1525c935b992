"""Residual streams: tensors that layers add to and that only normalizations and layers read.

As an orthogonal matrix keeps lengths, and one that keeps the vector of ones keeps means too, all
channels of such a stream can be turned at once: what writes it turns what it gives, and what reads
it behind a normalization turns it back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod

import onnx_ir as ir

from snapq.graph.edit import ints_attribute
from snapq.graph.shapes import static_shape
from snapq.operators import Family, Trait, having, in_families, spec
from snapq.quantization.qdq.decisions import constant

__all__ = ["Stream", "is_layer", "moved", "streams"]

_NORMS = tuple(op for op in in_families(Family.NORMALIZATION) if spec(op).channel_axis == -1)
_RESHAPES = having(Trait.RESHAPES)


@dataclass
class Stream:
    """One stream.

    Attributes:
        channels: number of them.
        values: its tensors, with their channel axis.
        writers: the layers that give them.
        constants: what is added or joined to them: node, input, channel axis counted from the end.
        norms: the normalizations that read them.
        readers: the layers that read them.
    """

    channels: int
    values: dict[ir.Value, int] = field(default_factory=dict)
    writers: dict[ir.Node, None] = field(default_factory=dict)
    constants: dict[tuple[ir.Node, int], int] = field(default_factory=dict)
    norms: dict[ir.Node, None] = field(default_factory=dict)
    readers: dict[ir.Node, None] = field(default_factory=dict)


def streams(graph: ir.Graph) -> Iterator[Stream]:
    """The streams that two normalizations or more read, in graph order."""
    done: set[ir.Node] = set()
    for node in graph:
        shape = static_shape(node.inputs[0]) if node.op_type in _NORMS and node.inputs else None
        if shape is None or node in done or not _is_plain_norm(node):
            continue
        stream = Stream(shape[-1])
        whole = _grow(stream, node.inputs[0], len(shape) - 1)
        done |= set(stream.norms)
        if whole and len(stream.norms) > 1 and stream.writers:
            yield stream


def is_layer(node: ir.Node) -> bool:
    """Whether a node is `x W + b` over the last axis, with constants."""
    if any(constant(value) is None for value in node.inputs[1:]):
        return False
    if node.op_type == "MatMul":
        weight = constant(node.inputs[1])
        return weight is not None and weight.shape.rank() == 2
    plain = all(node.attributes.get_float(name, 1.0) == 1.0 for name in ("alpha", "beta"))
    return node.op_type == "Gemm" and plain and not node.attributes.get_int("transA", 0)


def moved(node: ir.Node, axis: int) -> int | None:
    """The axis behind a move of tensors on which the one in front of it lies; None where none."""
    return next((new for new, old in _axes(node) if old == axis), None)


def _grow(stream: Stream, value: ir.Value | None, axis: int) -> bool:
    """Follows all tensors; False where something on the way is no part of a stream."""
    left = [(value, axis)]
    while left:
        value, axis = left.pop()
        shape = static_shape(value)
        if value is None or shape is None or value.is_graph_output():
            return False
        if value in stream.values:
            if stream.values[value] != axis:
                return False
            continue
        if not 0 <= axis < len(shape) or shape[axis] != stream.channels:
            return False
        stream.values[value] = axis
        before = _before(stream, value.producer(), axis, len(shape))
        behind = [_behind(stream, node, index, axis) for node, index in value.uses()]
        if before is None or None in behind:
            return False
        left += [*before, *(one for found in behind for one in found or ())]
    return True


def _before(
    stream: Stream, node: ir.Node | None, axis: int, rank: int
) -> list[tuple[ir.Value | None, int]] | None:
    """What a tensor of the stream is made of."""
    if node is None:
        return None
    conv = node.op_type == "Conv" and axis == 1 and node.attributes.get_int("group", 1) == 1
    if (is_layer(node) and axis == rank - 1) or (conv and constant(node.inputs[1]) is not None):
        stream.writers[node] = None
        return []
    if node.op_type in ("Add", "Concat"):
        if node.op_type == "Concat" and _joins(node, rank, axis):
            return None
        found: list[tuple[ir.Value | None, int]] = []
        for index, value in enumerate(node.inputs):
            tensor = constant(value)
            if tensor is None:
                found.append((value, axis - rank + len(static_shape(value) or ())))
                continue
            end = axis - rank
            if tensor.shape.rank() < -end or tensor.shape[end] != stream.channels:
                return None
            stream.constants[node, index] = end
        return found
    old = next((old for new, old in _axes(node) if new == axis), None)
    return None if old is None else [(node.inputs[0], old)]


def _behind(
    stream: Stream, node: ir.Node, index: int, axis: int
) -> list[tuple[ir.Value | None, int]] | None:
    """What a reader makes of a tensor of the stream."""
    rank = len(static_shape(node.inputs[index]) or ())
    if node.op_type in _NORMS and index == 0 and axis == rank - 1 and _is_plain_norm(node):
        stream.norms[node] = None
        return []
    if is_layer(node) and index == 0 and axis == rank - 1:
        stream.readers[node] = None
        return []
    if node.op_type == "Add" or (node.op_type == "Concat" and not _joins(node, rank, axis)):
        return [(node.outputs[0], axis - rank + len(static_shape(node.outputs[0]) or ()))]
    new = moved(node, axis) if index == 0 else None
    return None if new is None else [(node.outputs[0], new)]


def _joins(concat: ir.Node, rank: int, axis: int) -> bool:
    return concat.attributes.get_int("axis", 0) % max(rank, 1) == axis


def _is_plain_norm(node: ir.Node) -> bool:
    """Whether a normalization is over the last axis alone, with constants for each channel."""
    shape = static_shape(node.inputs[0])
    if shape is None or len(node.outputs) != 1:
        return False
    last = node.attributes.get_int("axis", -1) % len(shape) == len(shape) - 1
    held = [constant(value) for value in node.inputs[1:] if value is not None]
    return last and all(one is not None and tuple(one.shape) == shape[-1:] for one in held)


def _axes(node: ir.Node) -> Iterator[tuple[int, int]]:
    """New and old places of the axes that a move keeps whole."""
    old, new = static_shape(node.inputs[0]) if node.inputs else None, static_shape(node.outputs[0])
    if old is None or new is None:
        return
    if node.op_type == "Transpose":
        order = ints_attribute(node, "perm") or tuple(reversed(range(len(old))))
        yield from enumerate(order)
    elif node.op_type in _RESHAPES:
        before = {(prod(old[:i]), n): i for i, n in enumerate(old) if n > 1}
        for i, n in enumerate(new):
            if (prod(new[:i]), n) in before:
                yield i, before[prod(new[:i]), n]
    elif node.op_type in ("Slice", "Gather") and len(old) == len(new):
        taken = _taken(node, len(old))
        yield from ((i, i) for i in range(len(old)) if taken is not None and i not in taken)


def _taken(node: ir.Node, rank: int) -> set[int] | None:
    """The axes along which elements are taken; None where they are not known."""
    if node.op_type == "Gather":
        return {node.attributes.get_int("axis", 0) % rank}
    axes = constant(node.inputs[3]) if len(node.inputs) > 3 else None
    return None if axes is None else {int(axis) % rank for axis in axes.numpy().reshape(-1)}
