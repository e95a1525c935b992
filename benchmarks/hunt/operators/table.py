"""The rows of the table: how an operator is drawn and how it is built."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.hunt.recipe import Emit, Settings, Shape

Rng = np.random.Generator
Draw = Callable[[Rng, Shape], Settings]

EDGES = (31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257)
"""Sizes beside those that the hardware works in."""
CHANNELS = (3, 16, 24, 32, 40, 48, 64, 96, 116, 128, 144, 192, 256, 320, 384, 512, 768)
"""As networks have them."""
TOKENS = (16, 49, 50, 64, 77, 100, 128, 196, 197, 256, 300, 384, 1024)
"""As sequences and flattened maps have them."""


@dataclass(frozen=True)
class Row:
    """One operator of the hunt.

    Attributes:
        draw: settings for the first input's shape.
        emit: adds its nodes; raises `ImpossibleError` where the settings do not fit.
        ranks: of the first input.
        weight: how often it is drawn, relative to others.
        operands: values that it reads.
    """

    draw: Draw
    emit: Emit
    ranks: tuple[int, ...] = (2, 3, 4, 5)
    weight: float = 1.0
    operands: int = 1


def nothing(_rng: Rng, _shape: Shape) -> Settings:
    """An operator without settings."""
    return {}


def size(rng: Rng) -> int:
    """A height, a width or a number of channels."""
    return int(rng.integers(1, 41)) if rng.random() < 0.8 else pick(rng, EDGES)


def large_map(rng: Rng) -> Shape:
    """Channels, height and width as networks have them."""
    height = pick(rng, (7, 10, 14, 20, 28, 40, 56, 80, 112, 160))
    width = height if chance(rng, 0.7) else pick(rng, (7, 13, 25, 48, 64, 100, 200))
    return (pick(rng, CHANNELS), height, width)


def pick(rng: Rng, options: Sequence[Any]) -> Any:
    """One of them, as it is."""
    return options[int(rng.integers(len(options)))]


def chance(rng: Rng, probability: float) -> bool:
    """True this often."""
    return bool(rng.random() < probability)


def axis_of(rng: Rng, shape: Shape, first: int = 1) -> int:
    """An axis, counted from the end, so that it holds at other batch sizes too."""
    return int(rng.integers(min(first, len(shape) - 1), len(shape))) - len(shape)


def along(shape: Shape, axis: int, length: int) -> Shape:
    """The shape with another length of one axis."""
    changed = list(shape)
    changed[axis] = length
    return tuple(changed)
