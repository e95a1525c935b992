"""Weights fitted by least squares to what a layer sees and what it shall give: numpy on arrays.

A layer gives `W q + b` for inputs `q` (`[K]`) and shall give `t` (`[O]`). All functions work on a
batch of groups at once: `W [G, O, K]`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

__all__ = ["STRENGTHS", "Sums", "fitted"]

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

STRENGTHS = (0.0003, 0.003, 0.03, 0.3)
"""Strengths of the pull towards the given weight that are tried, as shares of the mean of the
second moment's diagonal; and one that leaves the weight as it is."""


@dataclass
class Sums:
    """Sums over output positions.

    Attributes:
        count: positions.
        q: sum of q, `[G, K]`.
        t: sum of t, `[G, O]`.
        qq: sum of q q', `[G, K, K]`.
        tq: sum of t q', `[G, O, K]`.
    """

    count: int = 0
    q: Floats = field(default_factory=lambda: np.zeros((), np.float32))
    t: Floats = field(default_factory=lambda: np.zeros((), np.float32))
    qq: Floats = field(default_factory=lambda: np.zeros((), np.float32))
    tq: Floats = field(default_factory=lambda: np.zeros((), np.float32))

    def update(self, q: Floats, t: Floats) -> None:
        """Adds positions: `q [G, positions, K]`, `t [G, positions, O]`."""
        self.count += q.shape[1]
        self.q = self.q + q.sum(axis=1)
        self.t = self.t + t.sum(axis=1)
        self.qq = self.qq + q.transpose(0, 2, 1) @ q
        self.tq = self.tq + t.transpose(0, 2, 1) @ q

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.count + other.count,
            self.q + other.q,
            self.t + other.t,
            self.qq + other.qq,
            self.tq + other.tq,
        )

    def moments(self, *, about_mean: bool) -> tuple[Doubles, Doubles]:
        """Second moments `[G, K, K]` of q and `[G, O, K]` of t with q."""
        own = self.qq.astype(np.float64) / self.count
        cross = self.tq.astype(np.float64) / self.count
        if about_mean:
            q, t = self.q.astype(np.float64) / self.count, self.t.astype(np.float64) / self.count
            own = own - q[:, :, None] * q[:, None, :]
            cross = cross - t[:, :, None] * q[:, None, :]
        return own, cross


def fitted(weight: Floats, halves: tuple[Sums, Sums], *, about_mean: bool) -> tuple[Floats, float]:
    """The weight that gives t from q with the least squared error, pulled towards a given one.

    The strength of the pull is the one that does best on each half of the data when fitted to the
    other half; it may be so strong that the weight stays as it is. A bias may take up the means
    (`about_mean`).

    Returns:
        The weight, `[G, O, K]`, and the strength as a share of the mean of the second moment's
        diagonal; infinite where it stays.
    """
    given = weight.astype(np.float64)
    if not (halves[0].count and halves[1].count):
        return weight, float("inf")
    moments = [half.moments(about_mean=about_mean) for half in halves]
    losses = np.zeros(len(STRENGTHS) + 1)
    for (own, cross), other in ((moments[0], moments[1]), (moments[1], moments[0])):
        tried = [*_solutions(given, own, cross), given]
        losses += [_loss(one, *other) for one in tried]
    best = int(np.argmin(losses))
    if best == len(STRENGTHS):
        return weight, float("inf")
    own, cross = (halves[0] + halves[1]).moments(about_mean=about_mean)
    chosen = list(_solutions(given, own, cross))[best]
    return chosen.astype(np.float32), STRENGTHS[best]


def _solutions(given: Doubles, own: Doubles, cross: Doubles) -> Iterator[Doubles]:
    """The fitted weight at each strength."""
    values, vectors = np.linalg.eigh(own)
    mean = np.maximum(np.einsum("gkk->gk", own).mean(axis=1), 1e-12)[:, None]
    missing = (cross - given @ own) @ vectors
    back = vectors.transpose(0, 2, 1)
    for strength in STRENGTHS:
        shrunk = missing / (np.maximum(values, 0.0) + strength * mean)[:, None, :]
        yield given + shrunk @ back


def _loss(weight: Doubles, own: Doubles, cross: Doubles) -> float:
    """Mean squared error, less what no weight changes."""
    return float(np.einsum("gok,gok->", weight @ own - 2 * cross, weight))
