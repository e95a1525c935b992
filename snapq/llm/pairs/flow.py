"""The layers of a graph (products by weights) and which of them each value comes from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.graph.edit import constant

__all__ = ["MOVES", "Flow", "Layer", "before_moves", "behind_moves", "made_of"]

Floats = npt.NDArray[np.float32]
MOVES = frozenset(("Cast", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"))
"""Operators that give what they read, in another shape."""


@dataclass(frozen=True, eq=False)
class Layer:
    """A product by a constant.

    Attributes:
        node: of the product.
        x: what is multiplied.
        out: what it gives, the bias added where there is one.
        sources: the layers that `x` comes from without another one between, as a set of bits.
        bit: of this one.
        turned: whether the constant is `[in, out]`, and not `[out, in]`.
        bias: value of the bias.
        rows: which rows of the constant are this layer's, where it holds several; None for all.
    """

    node: ir.Node
    x: ir.Value
    out: ir.Value
    sources: int
    bit: int
    turned: bool
    bias: ir.Value | None
    rows: tuple[int, int] | None = None

    def part(self, begin: int, end: int) -> Layer:
        """Some of its rows as a layer of their own."""
        return replace(self, rows=(begin, end))

    @cached_property
    def weight(self) -> ir.Value:
        """The constant."""
        value = self.node.inputs[1]
        assert value is not None
        return value

    @property
    def shape(self) -> tuple[int, int]:
        """Rows that it gives, columns that it reads."""
        assert self.weight.shape is not None
        first, second = (int(size) for size in self.weight.shape.numpy()[:2])
        rows, columns = (second, first) if self.turned else (first, second)
        return (rows if self.rows is None else self.rows[1] - self.rows[0]), columns

    def values(self) -> Floats:
        """The weight, `[out, in]`."""
        held = constant(self.weight)
        assert held is not None
        flat = held.reshape(held.shape[:2])
        whole = flat.T if self.turned else flat
        return np.asarray(whole if self.rows is None else whole[slice(*self.rows)], np.float32)

    def added(self) -> Floats | None:
        """The bias, `[out]`; None where there is none."""
        held = constant(self.bias)
        if held is None:
            return None
        whole = np.asarray(held.reshape(-1), np.float32)
        return whole if self.rows is None else whole[slice(*self.rows)]

    @property
    def name(self) -> str:
        """Of the node, for messages."""
        return f"{self.node.op_type} '{self.node.name}'"


class Flow:
    """A graph whose constants are folded.

    Attributes:
        layers: in the order in which they are computed; the bit of each is its place.
    """

    def __init__(self, graph: ir.Graph) -> None:
        self.graph = graph
        self.layers: list[Layer] = []
        self._sources: dict[ir.Value, int] = {}
        for node in graph:
            mask = 0
            for value in node.inputs:
                mask |= self._sources.get(value, 0) if value is not None else 0
            found = self._layer(node)
            if found is not None:
                self.layers.append(found)
                mask = found.bit
            for value in node.outputs:
                self._sources[value] = mask

    def sources(self, value: ir.Value) -> int:
        """The layers that a value comes from without another one between, as bits."""
        return self._sources.get(value, 0)

    def of(self, bits: int) -> list[Layer]:
        """The layers of some bits."""
        return [layer for layer in self.layers if layer.bit & bits]

    def _layer(self, node: ir.Node) -> Layer | None:
        shape = _constant_shape(node.inputs[1]) if len(node.inputs) > 1 else None
        if shape is None or node.domain not in ("", "ai.onnx") or node.inputs[0] is None:
            return None
        kind, attributes = node.op_type, node.attributes
        bias = node.inputs[2] if len(node.inputs) > 2 else None
        turned = True
        if kind == "Gemm" and len(shape) == 2:
            plain = attributes.get_float("alpha", 1.0) == attributes.get_float("beta", 1.0) == 1.0
            if not plain or attributes.get_int("transA", 0) != 0:
                return None
            turned = attributes.get_int("transB", 0) == 0
        elif kind == "Conv" and set(shape[2:]) == {1} and attributes.get_int("group", 1) == 1:
            turned = False
        elif kind != "MatMul" or len(shape) != 2:
            return None
        out = node.outputs[0]
        if bias is None:
            bias, out = _added(out, shape[1] if turned else shape[0])
        bit = 1 << len(self.layers)
        return Layer(node, node.inputs[0], out, self.sources(node.inputs[0]), bit, turned, bias)


def _added(out: ir.Value, size: int) -> tuple[ir.Value | None, ir.Value]:
    """The bias that is added to what a layer gives, and the sum."""
    readers = [node for node, _ in out.uses()]
    if len(readers) == 1 and readers[0].op_type == "Add" and not out.is_graph_output():
        for value in readers[0].inputs:
            shape = _constant_shape(value)
            if shape is not None and shape[-1:] == (size,) and np.prod(shape) == size:
                return value, readers[0].outputs[0]
    return None, out


def _constant_shape(value: ir.Value | None) -> tuple[int, ...] | None:
    if value is None or value.const_value is None or value.is_graph_input():
        return None
    return tuple(int(size) for size in value.const_value.shape.numpy())


def behind_moves(value: ir.Value) -> Iterator[ir.Value]:
    """A value, and all that is the same in another shape behind it."""
    yield value
    for node, _ in value.uses():
        if node.op_type in MOVES and node.inputs[0] is value:
            yield from behind_moves(node.outputs[0])


def before_moves(value: ir.Value) -> Iterator[ir.Value]:
    """A value, and all that is the same in another shape in front of it, the nearest first."""
    yield value
    node = value.producer()
    if node is not None and node.op_type in MOVES and node.inputs[0] is not None:
        yield from before_moves(node.inputs[0])


def made_of(end: ir.Value) -> set[ir.Value]:
    """All values that one is made of."""
    waiting, seen = [end], {end}
    while waiting:
        node = waiting.pop().producer()
        fresh = [] if node is None else [v for v in node.inputs if v is not None and v not in seen]
        seen.update(fresh)
        waiting += fresh
    return seen
