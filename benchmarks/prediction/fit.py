"""A robust line over estimates, and what it is worth for networks that it has not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
WORTH = 0.97
"""A term stays where it brings the error of networks that are left out below this share."""
LEAST = 6
"""Networks for a fit."""
_ROUNDS, _ABSOLUTE, _SMALL, _CUT = 40, 10, 1e-3, 0.3
_CALLS, _SHORTEST_US = 3, 10.0
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


@dataclass(frozen=True)
class Call:
    """What a call takes, in microseconds, and what it takes by fits without each network."""

    us: float
    without: Mapping[str, float]


def fit(cases: Sequence[Case], terms: Sequence[str] = (), call_us: float | None = None) -> Line:
    """The line of least absolute relative deviation, large ones cut, by reweighted least squares.

    A term that would come out negative is left out.

    Args:
        cases: the networks.
        terms: of `TERMS`.
        call_us: what a call takes by other networks; it counts as `_CALLS` of these.
    """
    calls = None if call_us is None else np.array([call_us])
    (line,) = _lines(cases, terms, np.ones((1, len(cases))), calls)
    return line


def _lines(
    cases: Sequence[Case], terms: Sequence[str], taken: Array, calls: Array | None
) -> list[Line]:
    """A line for each row of `taken`, which has 1 for the networks that it is of, and else 0."""
    names = ("estimate_us", *terms)
    rows = [[1.0, *(getattr(case, name) for name in names)] for case in cases]
    measured = np.array([case.measured_us for case in cases])
    found = _solve(np.array(rows, np.float64) / measured[:, None], taken, calls)
    return [
        Line(
            offset,
            max(factor, 1e-3),
            {name: value for name, value in zip(terms, more, strict=True) if value},
        )
        for offset, factor, *more in found.tolist()
    ]


def _solve(relative: Array, taken: Array, calls: Array | None) -> Array:
    """Coefficients for which most of |1 - relative @ x| are small; none is negative.

    Args:
        relative: what is known of each network over its latency [networks, terms].
        taken: 1 for each network that a fit is made of, else 0 [fits, networks].
        calls: what the first coefficient is drawn to [fits].

    Returns:
        One row a fit [fits, terms].
    """
    scale = np.maximum(relative.mean(0), 1e-12)
    table, weights = relative / scale, taken
    found = np.zeros((len(taken), relative.shape[1]))
    call = np.zeros(len(taken)) if calls is None else 1 / (calls * scale[0])
    counts = np.full(len(taken), 0.0 if calls is None else float(_CALLS))
    for done in range(_ROUNDS):
        gram = np.einsum("fn,nk,nl->fkl", weights, table, table)
        gram += 1e-9 * np.eye(len(scale))
        gram[:, 0, 0] += counts * call**2
        aim = weights @ table
        aim[:, 0] += counts * call
        found = np.linalg.solve(gram, aim[..., None])[..., 0]
        weights = taken * _weight(1 - found @ table.T, done)
        if calls is not None:
            counts = _CALLS * _weight(1 - found[:, 0] * call, 0)
    low = np.flatnonzero(found.min(1) < 0)
    worst = np.argmin(found[low], axis=1)
    for column in np.unique(worst) if len(scale) > 1 else ():
        rows, kept = low[worst == column], np.delete(np.arange(len(scale)), column)
        found[rows] = 0
        drawn = calls[rows] / scale[column] if calls is not None and column > 0 else None
        found[np.ix_(rows, kept)] = _solve(table[:, kept], taken[rows], drawn)
    return np.asarray(found / scale)


def _weight(off: Array, done: int) -> Array:
    """Of deviations in a sum of squares, so that it is that of absolute ones, large ones cut."""
    found = 1 / np.maximum(np.abs(off), _SMALL)
    return found / (1 + (off / _HALF) ** 2) if done >= _ABSOLUTE else found


def left_out(
    cases: Sequence[Case], terms: Sequence[str] = (), calls: Mapping[str, float] | None = None
) -> Array:
    """Measured over predicted of each network by the fit of all others."""
    lines = lines_without(cases, terms, calls)
    return np.array(
        [case.measured_us / line.us(case) for case, line in zip(cases, lines, strict=True)]
    )


def lines_without(
    cases: Sequence[Case], terms: Sequence[str] = (), calls: Mapping[str, float] | None = None
) -> list[Line]:
    """For each network, the fit of all others; one of the very same graph goes with it.

    Args:
        cases: the networks.
        terms: of `TERMS`.
        calls: for each network, what a call takes by fits without it.
    """
    graphs = [(case.estimate_us, case.gmac, case.nodes) for case in cases]
    taken = np.array([[float(one != other) for other in graphs] for one in graphs])
    if calls is None:
        return _lines(cases, terms, taken, None)
    usual = float(np.median(list(calls.values())))
    drawn = np.array([calls.get(case.network, usual) for case in cases])
    return _lines(cases, terms, taken, drawn)


def best_terms(cases: Sequence[Case], calls: Mapping[str, float] | None = None) -> tuple[str, ...]:
    """The fewest terms that predict networks which are left out best.

    Pairs are tried as such, since one of them may help beside the other alone; then one more.
    """
    most = min(MOST, len(cases) // EACH)
    tried = {
        terms: _badness(left_out(cases, terms, calls))
        for count in range(min(most, 2) + 1)
        for terms in combinations(TERMS, count)
    }
    best = min(tried, key=lambda terms: tried[terms] / WORTH ** len(terms))
    if most > 2 and len(best) == 2:
        more = [(*best, name) for name in TERMS if name not in best]
        found, terms = min((_badness(left_out(cases, one, calls)), one) for one in more)
        best = terms if found < WORTH * tried[best] else best
    return best


def _badness(ratios: Array) -> float:
    """The mean error with outliers cut off, so that one network decides nothing."""
    return float(np.mean(np.minimum(np.abs(np.log(ratios)), _CUT)))


def validate(cases: Sequence[Case], call: Call | None = None) -> Validated:
    """Fits a line and finds out what it is worth.

    Args:
        cases: the networks.
        call: what a call takes by networks at another precision.
    """
    us, calls = (None, None) if call is None else (call.us, call.without)
    terms = best_terms(cases, calls)
    return _validated(fit(cases, terms, us), left_out(cases, terms, calls))


def call_of(cases: Sequence[Case]) -> Call | None:
    """What a call takes by the fit of these networks, and by those without each.

    None where these cannot tell: no call takes less than `_SHORTEST_US`.
    """
    terms = best_terms(cases)
    us = fit(cases, terms).offset_us
    if us < _SHORTEST_US:
        return None
    found = {
        case.network: line.offset_us if line.offset_us >= _SHORTEST_US else us
        for case, line in zip(cases, lines_without(cases, terms), strict=True)
    }
    return Call(us, found)


def of_kind(
    found: Validated, cases: Sequence[Case], kind: str, call: Call | None = None
) -> Validated:
    """What is known of one kind among networks that were fitted together.

    A line of its own where that predicts unseen networks of the kind better, and else the line of
    all with the interval of this kind.
    """
    inside = np.array([case.kind == kind for case in cases])
    own = validate([case for case in cases if case.kind == kind], call)
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
