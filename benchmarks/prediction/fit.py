"""A robust line over estimates, and what it is worth for networks that it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from benchmarks.prediction.figures import Case

Array = npt.NDArray[np.float64]
TERMS = {
    "boundary_mb": "per_boundary_mb_us",
    "ddr_mb": "per_ddr_mb_us",
    "gmac": "per_gmac_us",
    "nodes": "per_node_us",
    "normalized_m": "per_normalized_million_us",
}
"""What may help beside offset and estimate, and its name in the table: multiply-accumulates, since
chips differ by more in the units for them than in all else; nodes, each of which takes a little;
and values of pictures that the network normalizes itself, for which runtimes that take channels
last have three channels of 32 to compute on."""
MOST, EACH = 3, 12
"""Terms at most, and networks for each."""
WORTH = 0.95
"""A term stays where it brings the error of networks that are left out below this share."""
LEAST = 6
"""Networks for a fit."""
_ROUNDS, _ABSOLUTE, _SMALL, _CUT = 40, 10, 1e-3, 0.2
_HALF = 0.5
"""A relative deviation that counts half: where an estimate is seven times too high, it must not
bend the line of all others (F. R. Hampel et al., Robust Statistics, 1986: redescending weights)."""


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
        inside: whether the interval of all other networks holds it, in the same order.
    """

    line: Line
    ratios: Array
    low: float
    high: float
    inside: tuple[bool, ...]

    @property
    def coverage(self) -> float:
        """Share of the networks that the interval of all others holds."""
        return float(np.mean(self.inside))

    @property
    def errors(self) -> Array:
        """|measured - predicted| / measured of each network."""
        return np.asarray(np.abs(1 - 1 / self.ratios))


def fit(cases: Sequence[Case], terms: Sequence[str] = ()) -> Line:
    """The line of least absolute relative deviation, large ones cut, by reweighted least squares.

    A term that would come out negative is left out.

    Args:
        cases: the networks.
        terms: of `TERMS`.
    """
    table = _table(cases, terms)
    (found,) = _solve(table / _measured(cases)[:, None], np.ones((1, len(cases))))
    return _line(found, terms)


def _line(found: Array, terms: Sequence[str]) -> Line:
    offset, factor, *more = map(float, found)
    return Line(
        offset,
        max(factor, 1e-3),
        {name: value for name, value in zip(terms, more, strict=True) if value},
    )


def _table(cases: Sequence[Case], terms: Sequence[str]) -> Array:
    rows = [[1.0, case.estimate_us, *(getattr(case, name) for name in terms)] for case in cases]
    return np.array(rows, np.float64)


def _measured(cases: Sequence[Case]) -> Array:
    return np.array([case.measured_us for case in cases])


def _solve(relative: Array, taken: Array) -> Array:
    """Coefficients for which most of |1 - relative @ x| are small; none is negative.

    Args:
        relative: what is known of each network over its latency [networks, terms].
        taken: 1 for each network that a fit is made of, else 0 [fits, networks].

    Returns:
        One row a fit [fits, terms].
    """
    scale = np.maximum(relative.mean(0), 1e-12)
    table, weights = relative / scale, taken
    found = np.zeros((len(taken), relative.shape[1]))
    for done in range(_ROUNDS):
        gram = np.einsum("fn,nk,nl->fkl", weights, table, table)
        gram += 1e-9 * np.eye(len(scale))
        found = np.linalg.solve(gram, (weights @ table)[..., None])[..., 0]
        off = np.abs(1 - found @ table.T)
        weights = taken / np.maximum(off, _SMALL)
        if done >= _ABSOLUTE:
            weights = weights / (1 + (off / _HALF) ** 2)
    low = np.flatnonzero(found.min(1) < 0)
    worst = np.argmin(found[low], axis=1)
    for column in np.unique(worst) if len(scale) > 1 else ():
        rows, kept = low[worst == column], np.delete(np.arange(len(scale)), column)
        found[rows] = 0
        found[np.ix_(rows, kept)] = _solve(table[:, kept], taken[rows])
    return np.asarray(found / scale)


def left_out(cases: Sequence[Case], terms: Sequence[str] = ()) -> Array:
    """Measured over predicted of each network by the fit of all others."""
    table, measured = _table(cases, terms), _measured(cases)
    found = _solve(table / measured[:, None], 1 - np.eye(len(cases)))
    return np.array(
        [
            case.measured_us / _line(row, terms).us(case)
            for case, row in zip(cases, found, strict=True)
        ]
    )


def best_terms(cases: Sequence[Case]) -> tuple[str, ...]:
    """The fewest terms that predict networks which are left out best.

    Pairs are tried as such, since one of them may help beside the other alone; then one more.
    """
    most = min(MOST, len(cases) // EACH)
    tried = {
        terms: _badness(left_out(cases, terms))
        for count in range(min(most, 2) + 1)
        for terms in combinations(TERMS, count)
    }
    best = min(tried, key=lambda terms: tried[terms] / WORTH ** len(terms))
    if most > 2 and len(best) == 2:
        more = [(*best, name) for name in TERMS if name not in best]
        found, terms = min((_badness(left_out(cases, one)), one) for one in more)
        best = terms if found < WORTH * tried[best] else best
    return best


def _badness(ratios: Array) -> float:
    """The mean error with outliers cut off, so that one network decides nothing."""
    return float(np.mean(np.minimum(np.abs(np.log(ratios)), _CUT)))


def validate(cases: Sequence[Case]) -> Validated:
    """Fits a line and finds out what it is worth."""
    terms = best_terms(cases)
    return _validated(fit(cases, terms), left_out(cases, terms))


def of_kind(found: Validated, cases: Sequence[Case], kind: str) -> Validated:
    """What is known of one kind among networks that were fitted together.

    A line of its own where that predicts unseen networks of the kind better, and else the line of
    all with the interval of this kind.
    """
    inside = np.array([case.kind == kind for case in cases])
    own = validate([case for case in cases if case.kind == kind])
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
    inside = tuple(
        bool(low <= ratio <= high)
        for index, ratio in enumerate(ratios)
        for low, high in (interval(np.delete(ratios, index)),)
    )
    return Validated(line, ratios, *interval(ratios), inside)


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
