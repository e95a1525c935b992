"""The percentile observer: all but the rarest values on each side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snapq.errors import ConfigError
from snapq.precision import ObserverName
from snapq.quantization.calibration.observers.base import Observer
from snapq.quantization.calibration.observers.collector import Collector
from snapq.quantization.encodings import QuantType

__all__ = ["Percentile"]

_USUAL = 99.99


@dataclass(frozen=True)
class Percentile(Observer):
    """The range that leaves half of the rest of the values outside on each side.

    Source: McKinstry et al., arXiv:1809.04191.

    Attributes:
        percent: of the values inside, above 50 and at most 100; by default one in 20,000 is outside
            on each side, and 100 is min-max.

    Raises:
        ConfigError: the percentage is none of these.
    """

    name = ObserverName.PERCENTILE

    percent: float = _USUAL

    def __post_init__(self) -> None:
        if not 50.0 < self.percent <= 100.0:
            raise ConfigError(
                f"'{self.percent}' is no number for the observer '{self.name}'.",
                hint="Give one above 50 and at most 100.",
            )

    def __str__(self) -> str:
        return super().__str__() if self.percent == _USUAL else f"{self.name} {self.percent}"

    def range(self, seen: Collector, dtype: QuantType) -> tuple[float, float]:
        """The percentiles by the histogram, whatever the type."""
        if seen.empty:
            return 0.0, 0.0
        outside = 1 - self.percent / 100
        if outside == 0:  # the histogram of a large tensor is of some of its values only
            return seen.minimum, seen.maximum
        lower, upper, counts = seen.bins()
        cumulative = np.cumsum(counts)
        total = int(cumulative[-1])
        ends = []
        for target in (total * outside / 2, total * (1 - outside / 2)):
            index = min(int(np.searchsorted(cumulative, target)), counts.size - 1)
            inside = (target - (cumulative[index] - counts[index])) / counts[index]
            ends.append(float(lower[index] + inside * (upper[index] - lower[index])))
        return ends[0], ends[1]
