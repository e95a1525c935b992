"""Tensors that share an encoding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from snapq.quantization.encodings import Encoding, QuantType, asymmetric

__all__ = ["Groups", "Range", "constant_range"]

Range = tuple[float, float]

_MASK = 1e8
"""Constants of at least this size are no numbers to compute with, but masks."""
_MASKED = 2.0**15


@dataclass
class _Group:
    """Tensors with one encoding."""

    dtype: QuantType
    members: list[ir.Value]
    sources: list[ir.Value] = field(default_factory=list)
    """Members whose observed ranges make up the range of the group."""
    constants: list[Range] = field(default_factory=list)
    fixed: Encoding | None = None
    known: dict[ir.Value, Encoding] = field(default_factory=dict)
    """Encodings of members whose operators have a fixed range."""

    @property
    def only_known(self) -> Encoding | None:
        """The encoding of an operator with a fixed range, where all else lies within it."""
        known = next(iter(self.known.values()), None)
        if self.sources or known is None or len(set(self.known.values())) != 1:
            return None
        return known if all(_within(each, known) for each in self.constants) else None


class Groups:
    """Tensors grouped by shared encoding."""

    def __init__(self) -> None:
        self._group: dict[ir.Value, _Group] = {}

    def add(self, value: ir.Value, dtype: QuantType, fixed: Encoding | None) -> None:
        """Adds a tensor that shares with none, and is a source of its own range."""
        self._group[value] = _Group(dtype, [value], [value], fixed=fixed)

    def add_known(self, value: ir.Value, known: Encoding) -> None:
        """Adds what an operator with a fixed range gives; what it shares with may widen that."""
        self._group[value] = _Group(known.dtype, [value], known={value: known})

    def __contains__(self, value: ir.Value) -> bool:
        return value in self._group

    def dtype(self, value: ir.Value) -> QuantType:
        """The integer type of a tensor."""
        return self._group[value].dtype

    def fixed(self, value: ir.Value) -> Encoding | None:
        """The encoding of a tensor's group that no range changes: imposed, or an operator's."""
        return self._group[value].fixed or self._group[value].only_known

    def tie(self, first: ir.Value, second: ir.Value) -> bool:
        """Gives two tensors one encoding; False where types or imposed encodings differ."""
        a, b = self._group[first], self._group[second]
        if a is b:
            return True
        imposed = {a.fixed, b.fixed} - {None}
        others = {*a.known.values(), *b.known.values()} if imposed else set()
        if a.dtype is not b.dtype or len(imposed | others) > 1:
            return False
        a.members += b.members
        a.sources += b.sources
        a.constants += b.constants
        a.known |= b.known
        a.fixed = a.fixed or b.fixed
        for member in b.members:
            self._group[member] = a
        return True

    def forget_source(self, value: ir.Value) -> None:
        """Leaves the range of a tensor out of its group's: other members speak for it."""
        self._group[value].sources.remove(value)

    def include(self, value: ir.Value, limits: Range) -> None:
        """Widens the range of a tensor's group by that of a constant."""
        self._group[value].constants.append(limits)

    def observed(self) -> tuple[ir.Value, ...]:
        """Tensors whose range calibration must find, in graph order."""
        sources = {
            source for group in self._group.values() if not group.fixed for source in group.sources
        }
        return tuple(value for value in self._group if value in sources)

    def range(self, value: ir.Value, ranges: Mapping[ir.Value, Range]) -> Range:
        """The range of a tensor's group."""
        group = self._group[value]
        if group.fixed is not None:
            return _limits(group.fixed)
        known = {_limits(encoding) for encoding in group.known.values()}
        parts = [ranges[source] for source in group.sources] + group.constants
        first = next(iter(group.known.values()), None)
        if first is not None and len(known) == 1 and all(_within(part, first) for part in parts):
            return _limits(first)
        parts += known
        return min(p[0] for p in parts), max(p[1] for p in parts)

    def encoding(self, value: ir.Value, ranges: Mapping[ir.Value, Range]) -> Encoding:
        """The encoding of a tensor, once ranges are known."""
        group, limits = self._group[value], self.range(value, ranges)
        known = next((each for each in group.known.values() if _limits(each) == limits), None)
        return group.fixed or known or asymmetric(*limits, group.dtype)


def _limits(encoding: Encoding) -> Range:
    return float(encoding.minimum.min()), float(encoding.maximum.max())


def _within(limits: Range, encoding: Encoding) -> bool:
    """Whether an encoding holds a range, but for one step at its ends."""
    (low, high), step = _limits(encoding), float(encoding.scale.max())
    return limits[0] >= low - step and limits[1] <= high + step


def constant_range(tensor: ir.TensorProtocol) -> Range:
    """Smallest and largest value of a constant; `(0, 0)` where it has none.

    Values that mask logits (-inf, -3e38) count as no larger than what any integer type can hold
    beside them.
    """
    array = np.asarray(tensor.numpy(), np.float64)
    array = np.where(np.abs(array) < _MASK, array, np.sign(array) * _MASKED)
    return (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
