"""How near a model is to float on held-out samples, and whether a gain is more than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snapq.evaluation.sqnr import Energies, sqnr

__all__ = ["LEAST", "Gain", "Outputs", "Score", "score"]

PERFECT = 120.0
"""Outputs nearer than this to float (dB) count as this near."""
LEAST = 0.05
"""Less than this many dB is no gain."""

Floats = npt.NDArray[np.float64]
Outputs = Mapping[str, npt.NDArray[np.generic]]


@dataclass(frozen=True)
class Gain:
    """What one model gains over another on held-out samples.

    Attributes:
        decibels: of the score, in which loud samples count most.
        error: how much of it may be chance: one standard error over the samples.
        usual: mean gain of a sample in dB, in which all count alike.
        usual_error: one standard error of that.
    """

    decibels: float
    error: float
    usual: float
    usual_error: float

    @property
    def counts(self) -> bool:
        """Whether both are gains, and one of them more than chance."""
        sure = self.decibels > self.error or self.usual > self.usual_error
        return self.decibels > LEAST and self.usual > 0 and sure


@dataclass(frozen=True)
class Score:
    """Energies of the float outputs, and of the difference from them: `[samples, outputs]` each."""

    signal: Floats
    noise: Floats

    @property
    def decibels(self) -> float:
        """Mean of the worst output's and the mean output's SQNR."""
        return _decibels(self.signal.sum(axis=0), self.noise.sum(axis=0))

    def over(self, other: Score) -> Gain:
        """The gain over another model on the same samples.

        The standard error of the score's gain is the jackknife's: from what the gain would be
        without each sample.

        Source: Efron and Stein, "The jackknife estimate of variance", 1981.
        """
        count = len(self.signal)
        gains = np.array(
            [
                _decibels(mine, ours) - _decibels(theirs, others)
                for mine, ours, theirs, others in zip(
                    self.signal, self.noise, other.signal, other.noise, strict=True
                )
            ]
        )
        without = [self._without(index) - other._without(index) for index in range(count)]
        jackknife = np.std(without) * np.sqrt(count - 1) if count > 1 else 0.0
        usual_error = np.std(gains) / np.sqrt(count - 1) if count > 1 else 0.0
        return Gain(
            self.decibels - other.decibels,
            float(jackknife),
            float(gains.mean()),
            float(usual_error),
        )

    def _without(self, index: int) -> float:
        kept = np.arange(len(self.signal)) != index
        return _decibels(self.signal[kept].sum(axis=0), self.noise[kept].sum(axis=0))


def score(truths: Sequence[Outputs], found: Sequence[Outputs]) -> Score:
    """The score of a model's outputs, sample by sample, against the float model's."""
    signal, noise = [], []
    for truth, mine in zip(truths, found, strict=True):
        energies = [Energies.of(array, mine[name]) for name, array in truth.items()]
        signal.append([one.signal for one in energies])
        noise.append([one.noise for one in energies])
    return Score(np.array(signal), np.array(noise))


def _decibels(signal: Floats, noise: Floats) -> float:
    values = [
        max(min(sqnr(float(s), float(n)), PERFECT), -PERFECT)
        for s, n in zip(signal, noise, strict=True)
        if s > 0
    ] or [0.0]
    return (min(values) + sum(values) / len(values)) / 2
