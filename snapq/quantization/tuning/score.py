"""How near a model is to float on held-out samples, and whether a gain is more than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snapq.evaluation.channel_groups import by_range
from snapq.evaluation.sqnr import Energies, sqnr

__all__ = ["LEAST", "Gain", "Outputs", "Reference", "Score", "score"]

PERFECT = 120.0
"""Outputs nearer than this to float (dB) count as this near."""
LEAST = 0.05
"""Less than this many dB is no gain."""
CLEARLY = 0.5
"""More than this many dB below is clearly worse."""
ENOUGH = 60.0
"""An output that is nearer to float than this (dB) cannot be spoilt."""

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

    @property
    def is_no_loss(self) -> bool:
        """Whether it is less than clear, and none by more than chance explains, on either count."""
        sure = self.decibels < -self.error or self.usual < -self.usual_error
        return min(self.decibels, self.usual) > -CLEARLY and not sure


@dataclass(frozen=True)
class Score:
    """Energies of the float outputs, and of the difference from them: `[samples, outputs]` each.

    An output whose channels fall into groups of unlike range, such as boxes and scores of one
    Concat, stands for one output a group: the whole would speak for the larger ones alone.
    """

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

    def spoils(self, other: Score) -> bool:
        """Whether any output is clearly worse than another model leaves it on the same samples.

        Clearly: by more than half a decibel, and by more than chance explains (two standard errors
        by the jackknife).
        """
        count = len(self.signal)
        lost = other._each() - self._each()
        without = [other._some(index)._each() - self._some(index)._each() for index in range(count)]
        error = np.std(without, axis=0) * np.sqrt(count - 1) if count > 1 else np.zeros_like(lost)
        return bool(((lost > np.maximum(CLEARLY, 2 * error)) & (self._each() < ENOUGH)).any())

    def _each(self) -> Floats:
        """SQNR of each output in dB."""
        sums = zip(self.signal.sum(axis=0), self.noise.sum(axis=0), strict=True)
        return np.array([_near(signal, noise) for signal, noise in sums])

    def _some(self, index: int) -> Score:
        """The score without a sample."""
        kept = np.arange(len(self.signal)) != index
        return Score(self.signal[kept], self.noise[kept])

    def _without(self, index: int) -> float:
        return self._some(index).decibels


class Reference:
    """The float model's outputs, in groups of channels, to hold those of other models against."""

    def __init__(self, truths: Sequence[Outputs]) -> None:
        self._truths = truths
        self._groups = [
            (name, group)
            for name in (truths[0] if truths else ())
            for group in by_range([truth[name] for truth in truths])
        ]
        self._signals: dict[tuple[int, int], float] = {}

    def energies(self, index: int, found: Outputs) -> list[Energies]:
        """Of each group: energies of a sample's output, and of a model's difference from it."""
        truth, energies = self._truths[index], []
        for number, (name, group) in enumerate(self._groups):
            known = self._signals.get((index, number))
            one = Energies.of(group.of(truth[name]), group.of(found[name]), known)
            self._signals[index, number] = one.signal
            energies.append(one)
        return energies

    def score(self, found: Sequence[Outputs]) -> Score:
        """The score of a model's outputs, sample by sample."""
        energies = [self.energies(index, one) for index, one in enumerate(found)]
        signal = [[one.signal for one in sample] for sample in energies]
        noise = [[one.noise for one in sample] for sample in energies]
        return Score(np.array(signal), np.array(noise))


def score(truths: Sequence[Outputs], found: Sequence[Outputs]) -> Score:
    """The score of a model's outputs, sample by sample, against the float model's."""
    return Reference(truths).score(found)


def _decibels(signal: Floats, noise: Floats) -> float:
    values = [_near(s, n) for s, n in zip(signal, noise, strict=True) if s > 0] or [0.0]
    return (min(values) + sum(values) / len(values)) / 2


def _near(signal: float, noise: float) -> float:
    """SQNR in dB, within what counts."""
    return max(min(sqnr(float(signal), float(noise)), PERFECT), -PERFECT)
