"""What every observer does, and the registry that finds one by name.

To add an observer, add a file to this folder with a class that `@register("name")` decorates.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from snapq.errors import ConfigError, nearest

__all__ = ["Histogram", "Observer", "TensorStatistics", "observer", "observer_names", "register"]


@dataclass(frozen=True)
class Histogram:
    """Counts of values in equal bins between `low` and `high`."""

    low: float
    high: float
    counts: tuple[int, ...]


@dataclass(frozen=True)
class TensorStatistics:
    """What calibration saw of one tensor, over all samples.

    Attributes:
        minimum: smallest value.
        maximum: largest value.
        count: how many values were seen; 0 for a tensor without elements.
        histogram: how they are spread (from an even subsample of large tensors).
    """

    minimum: float
    maximum: float
    count: int
    histogram: Histogram


class Observer(Protocol):
    """Sees every value of one tensor once, in memory that does not grow, and names a range."""

    def update(self, values: npt.NDArray[np.float32]) -> None:
        """Takes the tensor's values of one sample, flat."""

    def range(self) -> tuple[float, float]:
        """The range that an encoding shall cover."""

    def statistics(self) -> TensorStatistics:
        """What was seen."""


Factory = TypeVar("Factory", bound=Callable[[], Observer])
_FACTORIES: dict[str, Callable[[], Observer]] = {}


def register(name: str) -> Callable[[Factory], Factory]:
    """Makes an observer known under `name`."""

    def keep(factory: Factory) -> Factory:
        _FACTORIES[name] = factory
        return factory

    return keep


def observer_names() -> tuple[str, ...]:
    """Names of all observers."""
    package = importlib.import_module(__package__ or "")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return tuple(sorted(_FACTORIES))


def observer(name: str) -> Callable[[], Observer]:
    """The factory of an observer.

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
    return _FACTORIES[name]
