"""What every observer is, and how one is found by its name.

A model runs once a sample and one `Collector` watches each tensor. An observer is a rule that turns
what was collected into a range, so any number of them can be asked after one pass. To add one, add
a file to this folder with a subclass of `Observer`, and its name to `snapq.precision.ObserverName`.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from snapq.errors import ConfigError, did_you_mean
from snapq.precision import ObserverName
from snapq.quantization.calibration.observers.collector import Collector
from snapq.quantization.calibration.observers.noise import Function
from snapq.quantization.encodings import QuantType

__all__ = ["Observer", "observer", "observer_names"]


@dataclass(frozen=True)
class Observer(ABC):
    """Turns what was collected of a tensor into the range that its encoding covers.

    Equal observers give equal ranges; `str()` is how notes call one.
    """

    name: ClassVar[ObserverName]
    for_8_bits: ClassVar[bool] = False
    """Whether it weighs clipping against the step, and so gives min-max with 65536 steps."""
    counts: ClassVar[bool] = True
    """Whether it goes by the histogram, and so wants the values of all samples counted."""
    looks_behind: ClassVar[bool] = False
    """Whether it has a rule of its own for tensors that one function alone reads."""

    @abstractmethod
    def range(self, seen: Collector, dtype: QuantType) -> tuple[float, float]:
        """Smallest and largest value that the integer type shall hold; `(0, 0)` for no values."""

    def range_behind(
        self, seen: Collector, dtype: QuantType, function: Function
    ) -> tuple[float, float]:
        """The same of a tensor that nothing but a function of each value reads.

        Only asked of an observer that `looks_behind`.
        """
        raise NotImplementedError(f"{self} does not look behind {function}")

    def __str__(self) -> str:
        return self.name.value


def observer_names() -> tuple[str, ...]:
    """Names of all observers."""
    return tuple(sorted(_classes()))


def observer(name: str) -> Observer:
    """The observer of a name, as it is without any choice of its own.

    Raises:
        ConfigError: there is no observer of that name.
    """
    classes = _classes()
    if name not in classes:
        raise ConfigError(
            f"There is no observer '{name}'.",
            hint=did_you_mean(name, tuple(classes), f"There are: {', '.join(sorted(classes))}."),
        )
    return classes[name]()


def _classes() -> dict[str, type[Observer]]:
    """The observers of this folder, by name."""
    package = importlib.import_module(__package__ or "")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return {one.name.value: one for one in Observer.__subclasses__()}
