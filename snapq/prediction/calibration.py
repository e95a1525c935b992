"""What a user's own measurements say of predictions for their board.

A board of one's own has its own clocks, system and cooling. Measured over predicted, model by
model, gives a line: `measured = offset + factor * published prediction`. With few measurements it
must not follow each of them, so the line is drawn towards offset 0 and factor 1 as strongly as the
published interval allows (a Gaussian prior), and single measurements that stand apart count less
(Huber's weights, P. J. Huber, Robust Estimation of a Location Parameter, 1964).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from snapq.records import PredictionRecord

__all__ = ["LEAST", "Calibration", "OwnMeasurements", "Pair", "calibrate"]

LEAST = 3
"""Models that must have been measured on a board."""
_OFFSET_US = 150.0
"""How much the time of a call may differ from board to board."""
_PRIOR = 4
"""So many measurements weigh as much as the published interval."""
_QUANTILE = 1.2816
"""Standard deviations from the median to the 10 % and 90 % quantiles of a normal distribution."""
_HUBER = 1.5
_ROUNDS = 20


@dataclass(frozen=True)
class Pair:
    """One measured model.

    Attributes:
        published_us: what the published fit predicts.
        measured_us: median of the measurement.
        spread: half of the published interval, as a logarithm of ratios.
    """

    published_us: float
    measured_us: float
    spread: float


@dataclass(frozen=True)
class Calibration:
    """A board's line over published predictions.

    Attributes:
        board: as the user names it.
        models: how many measured models it rests on.
        offset_us: added to `factor` times the published prediction.
        factor: see `offset_us`.
        spread: half of the 80 % interval, as a logarithm of ratios.
    """

    board: str
    models: int
    offset_us: float
    factor: float
    spread: float

    @property
    def sentence(self) -> str:
        """`calibrated on 6 of your measurements on bench-1: 1.15 times the published ones …`."""
        return (
            f"calibrated on {self.models} of your measurements on {self.board}: {self.factor:.2f} "
            f"times the published ones {self.offset_us:+.0f} us, 80 % within "
            f"{math.exp(-self.spread):.2f} to {math.exp(self.spread):.2f} of that"
        )

    def us(self, published_us: float) -> float:
        """The calibrated median, in microseconds."""
        return max(self.offset_us + self.factor * published_us, 1.0)

    def applied(self, found: PredictionRecord) -> PredictionRecord:
        """A prediction with this board's own line; one without a figure stays as it is."""
        if found.us is None or found.published_us is None:
            return found
        us = self.us(found.published_us)
        return found.model_copy(
            update={
                "us": us,
                "us_lower": us * math.exp(-self.spread),
                "us_upper": us * math.exp(self.spread),
                "calibrated_on": self.models,
                "board": self.board,
            }
        )


@dataclass(frozen=True)
class OwnMeasurements:
    """What a user's history says of predictions.

    Attributes:
        by_device: the calibration of one board with this SoC.
        problem: why the history could not be read.
    """

    by_device: Mapping[str, Calibration] = field(default_factory=dict)
    problem: str | None = None


def calibrate(board: str, pairs: Sequence[Pair]) -> Calibration | None:
    """The line of a board; None with fewer than `LEAST` measured models."""
    if len(pairs) < LEAST:
        return None
    found = _line(board, pairs)
    # Each model is told from the others, as a next one will be.
    errors = [
        math.log(one.measured_us / _line(board, _without(pairs, index)).us(one.published_us))
        for index, one in enumerate(pairs)
    ]
    prior = median(one.spread for one in pairs) / _QUANTILE
    variance = (_PRIOR * prior**2 + sum(error**2 for error in errors)) / (_PRIOR + len(pairs))
    return replace(found, spread=_QUANTILE * math.sqrt(variance))


def _without(pairs: Sequence[Pair], index: int) -> list[Pair]:
    return [one for place, one in enumerate(pairs) if place != index]


def _line(board: str, pairs: Sequence[Pair]) -> Calibration:
    """Least squares of relative errors, reweighted, with a prior on both parameters."""
    spread = median(one.spread for one in pairs)
    noise = max(spread / _QUANTILE / math.sqrt(2), 0.01)
    factor, offset = median(one.measured_us / one.published_us for one in pairs), 0.0
    # A board far from the published ones says by itself how far boards can be.
    prior = max(noise, abs(factor - 1))
    for _ in range(_ROUNDS):
        ss = so = oo = sy = oy = 0.0
        for one in pairs:
            error = (one.measured_us - offset - factor * one.published_us) / one.published_us
            weight = min(1.0, _HUBER * noise / abs(error)) if error else 1.0
            # Divided by the published prediction: 1 * factor + (1 / x) * offset = y / x.
            inverse, ratio = 1 / one.published_us, one.measured_us / one.published_us
            ss += weight
            so += weight * inverse
            oo += weight * inverse**2
            sy += weight * ratio
            oy += weight * inverse * ratio
        pull, held = (noise / prior) ** 2, (noise / _OFFSET_US) ** 2
        determinant = (ss + pull) * (oo + held) - so**2
        factor = ((sy + pull) * (oo + held) - so * oy) / determinant
        offset = ((ss + pull) * oy - so * (sy + pull)) / determinant
    return Calibration(board, len(pairs), offset, max(factor, 0.01), spread)
