"""What every observer is, and the registry that finds one by name.

A model runs once a sample and one `Collector` watches each tensor. An observer is a rule that turns
what was collected into a range, so any number of them can be asked after one pass. To add one, add
a file to this folder with a function that `@register("name")` decorates.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable

from snapq.errors import ConfigError, nearest
from snapq.quantization.encodings import QuantType
from snapq.quantization.observers.collector import Collector

__all__ = ["Observer", "observer", "observer_names", "register"]

Observer = Callable[[Collector, QuantType], tuple[float, float]]
"""What was collected of a tensor, and its integer type, to the range that an encoding covers."""

_OBSERVERS: dict[str, Observer] = {}


def register(name: str) -> Callable[[Observer], Observer]:
    """Makes an observer known under `name`."""

    def keep(rule: Observer) -> Observer:
        _OBSERVERS[name] = rule
        return rule

    return keep


def observer_names() -> tuple[str, ...]:
    """Names of all observers."""
    package = importlib.import_module(__package__ or "")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return tuple(sorted(_OBSERVERS))


def observer(name: str) -> Observer:
    """The observer of a name.

    Raises:
        ConfigError: there is no observer of that name.
    """
    names = observer_names()
    if name not in names:
        near = nearest(name, names)
        raise ConfigError(
            f"There is no observer '{name}'.",
            mend=f"Did you mean '{near}'?" if near else f"There are: {', '.join(names)}.",
        )
    return _OBSERVERS[name]
