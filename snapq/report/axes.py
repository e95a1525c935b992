"""Axes of the small drawings: where a round number stands, and how it is written."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from snapq.report import formatting as fmt

_STEPS = (1, 2, 5, 10)


@dataclass(frozen=True)
class Tick:
    """A mark of an axis: its place in the drawing, and its number."""

    at: float
    text: str


def ticks(
    low: float, high: float, place: Callable[[float], float], most: int = 5
) -> tuple[Tick, ...]:
    """Round numbers from `low` to `high`, at most so many; their one value where these are equal.

    `place` gives the coordinate of a value.
    """
    if not high > low:
        return (Tick(place(low), _written(low)),)
    rough = (high - low) / most
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * size for factor in _STEPS if factor * size >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    values = (round(count * step, 12) for count in range(first, last + 1))
    return tuple(Tick(place(value), _written(value)) for value in values)


def _written(value: float) -> str:
    """A round number in full: `0.9`, `15`, `20,000`."""
    text = f"{round(value):,}" if value == round(value) else f"{value:.4g}"
    return text.replace("-", fmt.MINUS)


def powers(low: float, high: float, place: Callable[[float], float]) -> tuple[Tick, ...]:
    """Numbers for a logarithmic axis from `low` to `high`: 1, 2 and 5 times powers of ten.

    Of a wide range the powers alone; of a narrow one its ends.
    """
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1,) if len(decades) > 4 else (1, 2, 5)
    values = [factor * 10.0**power for power in decades for factor in factors]
    found = [value for value in values if low <= value <= high]
    shown = found if len(found) > 1 else [low, high]
    return tuple(Tick(place(value), _written(value)) for value in shown)
