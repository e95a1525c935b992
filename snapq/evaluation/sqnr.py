"""The one definition of SQNR (signal-to-quantization-noise ratio), and the meter of it.

`SQNR = 10 log10(sum(r^2) / sum((r - o)^2))` in dB, for the elements `r` of the reference and `o` of
the output. Over several samples energies are summed before their ratio is taken, in float64, so
that loud samples count most; what shall count all samples alike takes the mean of single SQNRs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Energies", "SqnrMeter", "real_outputs", "sqnr"]

Array = np.ndarray[Any, np.dtype[Any]]
Outputs = Mapping[str, Array]

_AT_ONCE = 8192
"""Elements."""


def sqnr(signal: float, noise: float) -> float:
    """`10 log10(signal / noise)` of two energies, in dB; infinite where there is no noise."""
    if noise == 0.0:
        return math.inf
    return float(10.0 * np.log10(signal / noise)) if signal > 0.0 else -math.inf


@dataclass(frozen=True)
class Energies:
    """Energy of the reference and of what differs from it."""

    signal: float = 0.0
    noise: float = 0.0

    @classmethod
    def of(cls, reference: Array, output: Array, signal: float | None = None) -> Energies:
        """Energies of one sample; shapes are equal.

        Where the reference is not finite nothing is compared; an output that is not finite where
        the reference is counts as all noise. `signal` is the reference's own where it is known.
        """
        if signal is None:
            signal = float(np.square(reference, dtype=np.float64).sum())
        with np.errstate(invalid="ignore", over="ignore"):
            noise = _energy_between(reference.reshape(-1), output.reshape(-1))
        if math.isfinite(signal) and math.isfinite(noise):
            return cls(signal, noise)
        truth, found = reference.astype(np.float64), output.astype(np.float64)
        if not (np.isfinite(truth).all() and np.isfinite(found).all()):
            counted = np.isfinite(truth)
            truth, found = truth[counted], found[counted]
            found = np.where(np.isfinite(found), found, 0.0)
        return cls(float(np.square(truth).sum()), float(np.square(truth - found).sum()))

    def __add__(self, other: Energies) -> Energies:
        return Energies(self.signal + other.signal, self.noise + other.noise)

    @property
    def relative_noise(self) -> float:
        """Noise over signal; infinite where there is noise and no signal."""
        if self.signal:
            return self.noise / self.signal
        return math.inf if self.noise else 0.0


def _energy_between(one: Array, other: Array) -> float:
    """The energy of the difference of two flat arrays of one size, part by part in the cache."""
    energy, buffer = 0.0, np.empty(min(_AT_ONCE, one.size))
    for start in range(0, one.size, _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        difference = buffer[: one[part].size]
        np.subtract(one[part], other[part], out=difference, dtype=np.float64)
        energy += float(difference @ difference)
    return energy


class SqnrMeter:
    """Energies of many tensors over many samples, in fixed memory.

    Args:
        names: tensors that are compared; all that the first reference has where not given.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._sums = dict.fromkeys(names, Energies())

    def update(self, reference: Outputs, outputs: Outputs) -> None:
        """Takes one sample: the reference's tensors and those to compare, by the same names."""
        for name in tuple(self._sums) or tuple(reference):
            found = Energies.of(reference[name], outputs[name])
            self._sums[name] = self._sums.get(name, Energies()) + found

    def values(self) -> dict[str, float]:
        """SQNR in dB by name."""
        return {name: sqnr(found.signal, found.noise) for name, found in self._sums.items()}

    def worst(self) -> float:
        """The largest relative noise of all tensors; 0 where there are none."""
        return max((found.relative_noise for found in self._sums.values()), default=0.0)


def real_outputs(outputs: Outputs) -> Outputs:
    """The outputs of real numbers; all, where there are only whole numbers and truth values."""
    return {name: array for name, array in outputs.items() if array.dtype.kind == "f"} or outputs
