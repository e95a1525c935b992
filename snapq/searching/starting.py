"""The points that a search begins with: the file's own, presets, steps along each dimension."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snapq.config.reading.overrides import key_parts
from snapq.searching.space import BLOCKS, RESOLUTION, Dimension, Space, is_layers, layers_of, width


def started(space: Space, values: Mapping[str, Any], most: int) -> list[dict[str, Any]]:
    """Choices to begin with.

    Args:
        space: what is varied.
        values: the configuration as JSON, with all defaults.
        most: how many at most; the first is the file's own, as far as the space has it.
    """
    first = {one.key: _own(one, values) for one in space.dimensions}
    along = [
        [{**first, one.key: value} for value in _steps(one, space)] for one in space.dimensions
    ]
    found = [first]
    for index in range(max(map(len, along))):
        found += [steps[index] for steps in along if index < len(steps)]
    different: list[dict[str, Any]] = []
    known: list[dict[str, Any]] = []
    for choice in found:
        if (effective := space.effective(choice)) not in known:
            known.append(effective)
            different.append(choice)
    return different[:most]


def _steps(one: Dimension, space: Space) -> list[Any]:
    """Values of a dimension that are tried by themselves."""
    if not one.values:
        return [one.low, one.high]
    if not one.ordered or len(one.values) <= 3:
        return list(one.values)
    third = len(one.values) / 3
    steps = [one.values[round(third)], one.values[round(2 * third)]]
    if is_layers(one.key) and width(layers_of(one.key)) > width(space.own):
        return [one.values[1], *steps, one.values[-1]]
    return steps


def _own(dimension: Dimension, values: Mapping[str, Any]) -> Any:
    """The value that the file has, or the first of the dimension where it has none of them."""
    if dimension.key == RESOLUTION:
        return dimension.values[-1]
    if dimension.key == BLOCKS or is_layers(dimension.key):
        return dimension.values[0]
    value = _at(values, dimension.key)
    if dimension.values:
        return value if value in dimension.values else dimension.values[0]
    inside = isinstance(value, int | float) and dimension.low <= value <= dimension.high
    return value if inside else dimension.low


def _at(values: Any, key: str) -> Any:
    """The value at a key path; None where there is none."""
    here = values
    for step in key_parts(key):
        if isinstance(here, list) and step.isdecimal():
            here = here[int(step)] if int(step) < len(here) else None
        elif isinstance(here, list):
            here = next((one[step] for one in here if one.get(step) is not None), None)
        else:
            here = here.get(step) if isinstance(here, dict) else None
    return here
