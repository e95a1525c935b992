"""Tensors that share an encoding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from snapq.quantization.encodings import Encoding, QuantType, asymmetric

__all__ = ["Groups", "Range", "constant_range", "within"]

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


class Groups:
    """Tensors grouped by shared encoding."""

    def __init__(self) -> None:
        self._group: dict[ir.Value, _Group] = {}

    def add(self, value: ir.Value, dtype: QuantType, fixed: Encoding | None) -> None:
        """Adds a tensor that shares with none, and is a source of its own range."""
        self._group[value] = _Group(dtype, [value], [value], fixed=fixed)

    def __contains__(self, value: ir.Value) -> bool:
        return value in self._group

    def dtype(self, value: ir.Value) -> QuantType:
        """The integer type of a tensor."""
        return self._group[value].dtype

    def fixed(self, value: ir.Value) -> Encoding | None:
        """The encoding imposed on a tensor's group."""
        return self._group[value].fixed

    def tie(self, first: ir.Value, second: ir.Value) -> bool:
        """Gives two tensors one encoding; False where types or imposed encodings differ."""
        a, b = self._group[first], self._group[second]
        if a is b:
            return True
        if a.dtype is not b.dtype or (a.fixed and b.fixed and a.fixed != b.fixed):
            return False
        a.members += b.members
        a.sources += b.sources
        a.constants += b.constants
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
            return float(group.fixed.minimum.min()), float(group.fixed.maximum.max())
        parts = [ranges[source] for source in group.sources] + group.constants
        return min(p[0] for p in parts), max(p[1] for p in parts)

    def encoding(self, value: ir.Value, ranges: Mapping[ir.Value, Range]) -> Encoding:
        """The encoding of a tensor, once ranges are known."""
        group = self._group[value]
        return group.fixed or asymmetric(*self.range(value, ranges), group.dtype)


def within(limits: Range, encoding: Encoding) -> bool:
    """Whether an encoding holds a range, but for one step at its ends."""
    step = float(encoding.scale.max())
    low, high = float(encoding.minimum.min()) - step, float(encoding.maximum.max()) + step
    return low <= limits[0] and limits[1] <= high


def constant_range(tensor: ir.TensorProtocol) -> Range:
    """Smallest and largest value of a constant; `(0, 0)` where it has none.

    Values that mask logits (-inf, -3e38) count as no larger than what any integer type can hold
    beside them.
    """
    given = np.asarray(tensor.numpy())
    if given.size and given.dtype == np.float32:  # large tables are looked at without copies
        low, high = float(given.min()), float(given.max())
        if low > -_MASK and high < _MASK:
            return low, high
    array = given.astype(np.float64)
    array = np.where(np.abs(array) < _MASK, array, np.sign(array) * _MASKED)
    return (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
