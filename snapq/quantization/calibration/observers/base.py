"""What every observer is, and the registry that finds one by name.

A model runs once a sample and one `Collector` watches each tensor. An observer is a rule that turns
what was collected into a range, so any number of them can be asked after one pass. To add one, add
a file to this folder with a function that `@register("name")` decorates.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass

from snapq.errors import ConfigError, nearest
from snapq.quantization.calibration.observers.collector import Collector
from snapq.quantization.encodings import QuantType

__all__ = ["Observer", "observer", "observer_names", "register", "register_with_number"]

Observer = Callable[[Collector, QuantType], tuple[float, float]]
"""What was collected of a tensor, and its integer type, to the range that an encoding covers."""

_OBSERVERS: dict[str, Observer] = {}


@dataclass(frozen=True)
class _Family:
    """Observers that differ by one number."""

    make: Callable[[float], Observer]
    above: float
    most: float


_FAMILIES: dict[str, _Family] = {}


def register(name: str) -> Callable[[Observer], Observer]:
    """Makes an observer known under `name`."""

    def keep(rule: Observer) -> Observer:
        _OBSERVERS[name] = rule
        return rule

    return keep


def register_with_number(
    name: str, above: float, most: float
) -> Callable[[Callable[[float], Observer]], Callable[[float], Observer]]:
    """Makes known what gives an observer for a number: `observer("percentile 99.9")`.

    Args:
        name: of the family.
        above: what the number is larger than.
        most: the largest number.
    """

    def keep(make: Callable[[float], Observer]) -> Callable[[float], Observer]:
        _FAMILIES[name] = _Family(make, above, most)
        return make

    return keep


def observer_names() -> tuple[str, ...]:
    """Names of all observers."""
    package = importlib.import_module(__package__ or "")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return tuple(sorted(_OBSERVERS))


def observer(name: str) -> Observer:
    """The observer of a name, which may have a number: `percentile 99.9`.

    Raises:
        ConfigError: there is no observer of that name, or none with that number.
    """
    names = observer_names()
    family, _, number = name.partition(" ")
    if number and family in _FAMILIES:
        return _of_family(family, number)
    if name not in names:
        near = nearest(name, names)
        raise ConfigError(
            f"There is no observer '{name}'.",
            hint=f"Did you mean '{near}'?" if near else f"There are: {', '.join(names)}.",
        )
    return _OBSERVERS[name]


def _of_family(name: str, number: str) -> Observer:
    family = _FAMILIES[name]
    try:
        value = float(number)
    except ValueError:
        value = family.above
    if not family.above < value <= family.most:
        raise ConfigError(
            f"'{number}' is no number for the observer '{name}'.",
            hint=f"Give one above {family.above:g} and at most {family.most:g}.",
        )
    return family.make(value)
