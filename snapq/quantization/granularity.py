"""How many scales a tensor has, and which of its values share one."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "PER_OUTPUT",
    "PER_TENSOR",
    "Granularity",
    "PerAxis",
    "PerBlock",
    "PerTensor",
    "granularity",
]


@dataclass(frozen=True)
class PerTensor:
    """One scale: `[A, B]` has a scale `[]`."""


@dataclass(frozen=True)
class PerAxis:
    """A scale for each index of an axis: `[A, B]`, axis 0, has a scale `[A]`."""

    axis: int


@dataclass(frozen=True)
class PerBlock:
    """A scale for each `size` indices of an axis: `[A, B]`, axis 1, has a scale `[A, B / size]`."""

    axis: int
    size: int


Granularity = PerTensor | PerAxis | PerBlock
PER_TENSOR = PerTensor()
PER_OUTPUT = PerAxis(0)
"""A scale an output channel of a weight `[O, I]`."""


def granularity(axis: int | None) -> PerTensor | PerAxis:
    """A scale for each index of an axis; one where there is none."""
    return PER_TENSOR if axis is None else PerAxis(axis)
