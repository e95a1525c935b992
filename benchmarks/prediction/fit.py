"""A robust line over estimates, and what it is worth for networks that it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from benchmarks.prediction.figures import Case

Array = npt.NDArray[np.float64]
TERMS = ("boundary_mb", "ddr_mb", "gmac")
"""What may help beside offset and estimate; multiply-accumulates, since chips differ by more in the
units for them than in all else. The number of nodes would, a little, but it depends on how a
network was exported."""
WORTH = 0.95
"""A term stays where it brings the error of networks that are left out below this share."""
LEAST = 6
"""Networks for a fit."""
_ROUNDS, _SMALL = 60, 1e-3


@dataclass(frozen=True)
class Line:
    """measured = offset + factor x estimate + terms, in microseconds; nothing is negative."""

    offset_us: float
    factor: float
    terms: dict[str, float]

    def us(self, case: Case) -> float:
        """What is predicted."""
        more = sum(value * getattr(case, name) for name, value in self.terms.items())
        return self.offset_us + self.factor * case.estimate_us + more


@dataclass(frozen=True)
class Validated:
    """A line, and measured over predicted of each network when it was left out of the fit.

    Attributes:
        line: the fit of all networks.
        ratios: for each network, in order.
        low, high: the interval that is to hold 80 % of networks.
        coverage: share of the networks that the interval of all others holds.
    """

    line: Line
    ratios: Array
    low: float
    high: float
    coverage: float

    @property
    def errors(self) -> Array:
        """|measured - predicted| / measured of each network."""
        return np.asarray(np.abs(1 - 1 / self.ratios))


def fit(cases: Sequence[Case], terms: Sequence[str] = (), beside: Sequence[Case] = ()) -> Line:
    """The line of least absolute relative deviation, by reweighted least squares.

    A term that would come out negative is left out.

    Args:
        cases: the networks.
        terms: of `TERMS`.
        beside: networks at another precision, with which the line has the offset in common and
            nothing else: the call takes as long.
    """
    names = ["offset", "estimate_us", *terms]
    own, others = (
        np.array([[float(getattr(case, name)) for name in names[1:]] for case in some])
        for some in (cases, beside)
    )
    measured = np.array([case.measured_us for case in (*cases, *beside)])
    zeros = np.zeros((len(cases), len(names) - 1))
    table = np.hstack([np.ones((len(cases), 1)), own])
    if beside:
        below = np.hstack([np.ones((len(beside), 1)), np.zeros_like(others), others])
        table = np.vstack([np.hstack([table, zeros]), below])
    relative = table / measured[:, None]
    kept = list(range(relative.shape[1]))
    while True:
        found = _solve(relative[:, kept])
        if (found >= 0).all() or len(kept) == 1:
            break
        kept.remove(kept[int(np.argmin(found * np.mean(relative[:, kept], axis=0)))])
    values = dict.fromkeys(names, 0.0)
    values.update({names[k]: float(v) for k, v in zip(kept, found, strict=True) if k < len(names)})
    return Line(
        values["offset"],
        max(values["estimate_us"], 1e-3),
        {name: values[name] for name in terms if values[name]},
    )


def _solve(relative: Array) -> Array:
    """Coefficients for which the median of |1 - relative @ x| is small."""
    weights = np.ones(len(relative))
    found = np.zeros(relative.shape[1])
    for _ in range(_ROUNDS):
        scaled = relative * weights[:, None]
        found = np.linalg.lstsq(scaled, weights, rcond=None)[0]
        weights = 1 / np.sqrt(np.maximum(np.abs(1 - relative @ found), _SMALL))
    return np.asarray(found)


def left_out(
    cases: Sequence[Case], terms: Sequence[str] = (), beside: Sequence[Case] = ()
) -> Array:
    """Measured over predicted of each network by the fit of all others, at either precision."""

    def without(some: Sequence[Case], network: str) -> list[Case]:
        return [case for case in some if case.network != network]

    return np.array(
        [
            case.measured_us
            / fit(without(cases, case.network), terms, without(beside, case.network)).us(case)
            for case in cases
        ]
    )


def best_terms(cases: Sequence[Case], beside: Sequence[Case] = ()) -> tuple[str, ...]:
    """The fewest terms that predict networks which are left out best."""
    chosen: tuple[str, ...] = ()
    least = _badness(left_out(cases, (), beside))
    for count in (1, 2):
        if len(cases) < 12 * count:
            break
        tried = [
            (_badness(left_out(cases, terms, beside)), terms)
            for terms in combinations(TERMS, count)
        ]
        found, terms = min(tried)
        if found < WORTH ** (count - len(chosen)) * least:
            least, chosen = found, terms
    return chosen


def _badness(ratios: Array) -> float:
    """The mean error with outliers cut off, so that one network decides nothing."""
    return float(np.mean(np.minimum(np.abs(np.log(ratios)), 0.5)))


def validate(cases: Sequence[Case], beside: Sequence[Case] = ()) -> Validated:
    """Fits a line and finds out what it is worth."""
    terms = best_terms(cases, beside)
    return _validated(fit(cases, terms, beside), left_out(cases, terms, beside))


def of_kind(
    found: Validated, cases: Sequence[Case], kind: str, beside: Sequence[Case] = ()
) -> Validated:
    """What is known of one kind among networks that were fitted together.

    A line of its own where that predicts unseen networks of the kind better, and else the line of
    all with the interval of this kind.
    """
    inside = np.array([case.kind == kind for case in cases])
    own = validate([case for case in cases if case.kind == kind], beside)
    ratios = found.ratios[inside]
    if _badness(own.ratios) < WORTH * _badness(ratios):
        return own
    return _validated(found.line, ratios)


def _validated(line: Line, ratios: Array) -> Validated:
    """The line and its interval; where that does not hold the line, the line goes to its middle."""
    low, high = interval(ratios)
    if not low < 1 < high:
        middle = float(np.median(ratios))
        terms = {name: value * middle for name, value in line.terms.items()}
        line = Line(line.offset_us * middle, line.factor * middle, terms)
        ratios = ratios / middle
    inside = [
        low <= ratio <= high
        for index, ratio in enumerate(ratios)
        for low, high in (interval(np.delete(ratios, index)),)
    ]
    return Validated(line, ratios, *interval(ratios), float(np.mean(inside)))


def interval(ratios: Array) -> tuple[float, float]:
    """The ratios between which 80 % of new networks lie; of few, beyond the outermost.

    A tenth is left out at each end as conformal prediction counts it (Vovk et al., 2005): of n
    networks, what is below rank 0.1 (n + 1) and above rank 0.9 (n + 1).
    """
    ordered = np.sort(np.log(ratios))
    ranks = np.arange(len(ordered))
    low, high = np.array([0.1, 0.9]) * (len(ordered) + 1) - 1
    bottom = np.interp(low, ranks, ordered) + min(low, 0) * (ordered[1] - ordered[0])
    beyond = max(high - ranks[-1], 0)
    top = np.interp(high, ranks, ordered) + beyond * (ordered[-1] - ordered[-2])
    return float(np.exp(bottom)), float(np.exp(top))
