"""Between which bounds the whole numbers of a graph lie, as far as the graph shows."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import constant, input_at, reduced_axes
from snapq.graph.shapes import static_shape
from snapq.operators import Family, Trait, spec_of

__all__ = ["FED", "Bounds", "IntegerRanges"]

Bounds = tuple[int, int]

FED = 2**30
"""Numbers that are fed are taken to be nearer to 0 than this: a sum with a constant still fits."""
_FROM_FLOAT = 2**17
"""16-bit floating point of the NPU ends at 131,008."""
_TRUTH = (0, 1)


class IntegerRanges:
    """The bounds of integer values; each is found once.

    Sums, products and choices are followed, and what moves numbers or picks them. What an operator
    gives of which nothing is said here has any value that its type holds, up to `FED`.
    """

    def __init__(self) -> None:
        self._known: dict[ir.Value, Bounds] = {}

    def of(self, value: ir.Value | None) -> Bounds:
        """The lowest and the highest number that a value may hold."""
        if value is None:
            return (0, 0)
        if value not in self._known:
            self._known[value] = widest(value.dtype)  # in case of a circle
            self._known[value] = self._found(value)
        return self._known[value]

    def _found(self, value: ir.Value) -> Bounds:
        array = constant(value)
        if array is not None:
            return (int(array.min()), int(array.max())) if array.size else (0, 0)
        node = value.producer()
        if value.dtype == ir.DataType.BOOL:
            return _TRUTH
        if node is None or node.domain != "":
            return widest(value.dtype)
        if value.dtype is None or not value.dtype.is_integer():
            return (-_FROM_FLOAT, _FROM_FLOAT)
        row = spec_of(node)
        if row.family is Family.SEARCH and row.has(Trait.HAS_AXIS):
            return self._place(node, value)
        compute = _ARITHMETIC.get(node.op_type)
        data = [item for i, item in enumerate(node.inputs) if row.role(i).quantized and item]
        if compute is not None:
            return compute(node, [self.of(item) for item in data])
        bounds = [self.of(item) for item in data]
        picks = row.has(Trait.MOVES) or node.op_type in ("Cast", "Where", "ReduceMax", "ReduceMin")
        return _union(bounds) if picks and bounds else widest(value.dtype)

    def _place(self, node: ir.Node, value: ir.Value) -> Bounds:
        """Of a place along an axis, or of the largest values of one."""
        if len(node.outputs) > 1 and value is node.outputs[0]:
            return self.of(node.inputs[0])
        shape = static_shape(node.inputs[0])
        axis = node.attributes.get_int("axis", -1 if len(node.outputs) > 1 else 0)
        return (0, max(shape[axis] - 1, 0)) if shape else widest(value.dtype)


def widest(dtype: ir.DataType | None) -> Bounds:
    """What a type holds, up to `FED`."""
    if dtype is None or not dtype.is_integer():
        return _TRUTH if dtype == ir.DataType.BOOL else (-_FROM_FLOAT, _FROM_FLOAT)
    held = np.iinfo(dtype.numpy()) if dtype.bitwidth >= 8 else None
    return (-FED, FED) if held is None else (max(held.min, -FED), min(held.max, FED))


def _union(bounds: list[Bounds]) -> Bounds:
    return min(low for low, _ in bounds), max(high for _, high in bounds)


def _corners(function: Callable[[int, int], int]) -> Callable[[ir.Node, list[Bounds]], Bounds]:
    """The bounds of a function whose extremes lie at those of its two operands."""

    def found(_: ir.Node, bounds: list[Bounds]) -> Bounds:
        first, second = bounds
        ends = [function(a, b) for a in first for b in second]
        return min(ends), max(ends)

    return found


def _quotient(_: ir.Node, bounds: list[Bounds]) -> Bounds:
    size = max(map(abs, bounds[0]))
    return (0 if bounds[0][0] >= 0 and bounds[1][0] >= 0 else -size), size


def _magnitude(_: ir.Node, bounds: list[Bounds]) -> Bounds:
    low, high = bounds[0]
    return max(low, -high, 0), max(high, -low)


def _clipped(node: ir.Node, bounds: list[Bounds]) -> Bounds:
    low, high = bounds[0]
    ends = [constant(input_at(node, index)) for index in (1, 2)]
    if ends[0] is not None:
        low, high = max(low, int(ends[0])), max(high, int(ends[0]))
    if ends[1] is not None:
        low, high = min(low, int(ends[1])), min(high, int(ends[1]))
    return low, high


def _summed(node: ir.Node, bounds: list[Bounds]) -> Bounds:
    shape, axes = static_shape(node.inputs[0]), reduced_axes(node)
    if node.op_type == "CumSum":
        axis = constant(node.inputs[1])
        axes = None if axis is None else (int(axis.reshape(-1)[0]),)
    count = prod(shape[axis] for axis in axes) if shape and axes else 1
    low, high = bounds[0]
    return low * count if low < 0 else low, high * count if high > 0 else high


_ARITHMETIC: dict[str, Callable[[ir.Node, list[Bounds]], Bounds]] = {
    "Add": _corners(lambda a, b: a + b),
    "Sub": _corners(lambda a, b: a - b),
    "Mul": _corners(lambda a, b: a * b),
    "Min": lambda _, bounds: (min(b[0] for b in bounds), min(b[1] for b in bounds)),
    "Max": lambda _, bounds: (max(b[0] for b in bounds), max(b[1] for b in bounds)),
    "Neg": lambda _, bounds: (-bounds[0][1], -bounds[0][0]),
    "Abs": _magnitude,
    "Div": _quotient,
    "Mod": lambda _, bounds: (min(bounds[1][0], 0), max(bounds[1][1], 0)),
    "Clip": _clipped,
    "ReduceSum": _summed,
    "CumSum": _summed,
}
