"""Rounding of weights so that a layer's output, not each weight, is kept: numpy on arrays.

The error of a layer with weight `W` (`[O, K]`) and rounded weight `R` is
`trace((R - W) H (R - W)')`, where `H` (`[K, K]`) is the second moment of its input. All functions
work on a batch of groups at once: `W [G, O, K]`, `H [G, K, K]`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snapq.quantization.tuning.factors import inverse_factor

__all__ = ["Rounded", "clip_search", "damped", "descend", "rounded", "second_order"]

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
_DAMPING = 0.01
"""Share of the mean of H's diagonal that is added to it."""
_DOUBT = 0.25
"""The same for each input an observation: what few samples say of many inputs is partly chance."""

_CACHED = 1 << 16
"""Weights that descend at once: with what belongs to them they fit into a cache."""
_BLOCK = 32
"""Inputs whose errors are spread one by one; to all behind them they go in one product."""
_AT_ONCE = 1 << 20
"""Weights that are rounded at once, and what is held of them otherwise."""
_DESCENTS = 5
"""Scales from which an output of few inputs descends."""
_FEWEST_TOGETHER = 16
_WORTH_LEAVING = 0.75
"""Outputs that are done are set aside where no more than this share of them is left."""
_NARROW = 64
_MOST_STEPS = 200
"""Most moves of one output."""


def damped(moment: Floats, count: int) -> Floats:
    """H with a little added to its diagonal, so that it can be inverted and does not overfit.

    `count` is the number of observations behind it.
    """
    diagonal = np.einsum("gkk->gk", moment)
    mean = np.maximum(diagonal.mean(axis=1), 1e-12)
    width = moment.shape[1]
    share = np.float32(_DAMPING + _DOUBT * width / max(count, 1))
    return np.asarray(moment + share * mean[:, None, None] * np.eye(width, dtype=np.float32))


def clip_search(weight: Floats, moment: Floats, scale: Floats, qmax: int) -> Floats:
    """For each output the share of its scale at which plain rounding errs least.

    The moment's diagonal weighs the errors. `scale` and the result are `[G, O, 1]`; the former
    holds the largest weight. Integers go from `-qmax` to `qmax`.
    """
    importance = np.einsum("gkk->gk", moment)[:, None, :]
    best, least = scale, np.full(scale.shape, np.inf, np.float32)
    for share in np.linspace(1.0, 0.6, 21, dtype=np.float32):
        tried = scale * share
        rounded = np.clip(np.rint(weight / tried), -qmax, qmax) * tried
        off = (np.square(rounded - weight) * importance).sum(axis=2, keepdims=True)
        best, least = np.where(off < least, tried, best), np.minimum(off, least)
    return best


def second_order(weight: Floats, moment: Floats, scale: Floats, qmin: int, qmax: int) -> Floats:
    """Rounds input by input, and lets the inputs to come make up for each error.

    Source: Frantar et al., "GPTQ", arXiv:2210.17323, with inputs in order of their moment.

    The moment is damped; `scale` is `[G, O, 1]`, or has one for each weight. Gives integers as
    float32, `[G, O, K]`.
    """
    return _Compensation.of(moment).rounded(weight, scale, qmin, qmax)[0]


@dataclass(frozen=True)
class _Compensation:
    """What the inputs to come take over of each input's error.

    Attributes:
        order: of the inputs, `[G, K]`.
        upper: Cholesky factor of the moment's inverse, in that order, `[G, K, K]`.
    """

    order: Indices
    upper: Floats

    @classmethod
    def of(cls, moment: Floats) -> _Compensation:
        """By a damped moment, `[G, K, K]`."""
        order = np.argsort(-np.einsum("gkk->gk", moment), axis=1, kind="stable")
        groups = np.arange(len(moment))[:, None, None]
        sorted_moment = moment[groups, order[:, :, None], order[:, None, :]]
        upper = inverse_factor(sorted_moment.astype(np.float64))
        return cls(order, np.ascontiguousarray(upper, np.float32))

    def rounded(self, weight: Floats, scale: Floats, qmin: int, qmax: int) -> tuple[Floats, Floats]:
        """Integers of weights, `[G, O, K]` each; outputs do not hang on each other.

        So many of them are done at once as stay in a processor's cache. Gives the error of each
        output too, `[G, O]`.
        """
        groups, outputs, width = weight.shape
        steps = np.broadcast_to(scale, (groups, outputs, scale.shape[2]))
        integers = np.empty(weight.shape, np.float32)
        missed = np.empty(weight.shape[:2], np.float32)
        together = max(_FEWEST_TOGETHER, _AT_ONCE // (groups * min(width, _BLOCK)))
        for start in range(0, outputs, together):
            part = slice(start, start + together)
            integers[:, part], missed[:, part] = self._part(
                weight[:, part], steps[:, part], (qmin, qmax)
            )
        return integers, missed

    def _part(
        self, weight: Floats, steps: Floats, limits: tuple[int, int]
    ) -> tuple[Floats, Floats]:
        order, upper = self.order[:, :, None], self.upper
        # [G, K, O]: what one input of all outputs adds to all inputs behind it lies together.
        left = np.take_along_axis(weight.transpose(0, 2, 1), order, axis=1)
        steps = steps.transpose(0, 2, 1)
        if steps.shape[1] > 1:  # else they are alike for all inputs
            steps = np.take_along_axis(steps, order, axis=1)
        integers = np.empty_like(left)
        lost = np.zeros((left.shape[0], left.shape[2]), np.float32)
        width = left.shape[1]
        for start in range(0, width, _BLOCK):
            stop = min(start + _BLOCK, width)
            missed = np.empty((left.shape[0], stop - start, left.shape[2]), np.float32)
            for k in range(start, stop):
                column, own = left[:, k], missed[:, k - start]
                step = steps[:, k if steps.shape[1] > 1 else 0]
                integers[:, k] = np.clip(np.rint(column / step), *limits)
                own[:] = (column - integers[:, k] * step) / upper[:, k, k, None]
                left[:, k + 1 : stop] -= upper[:, k, k + 1 : stop, None] * own[:, None, :]
            # What a block leaves goes to the inputs behind it in one product.
            left[:, stop:] -= upper[:, start:stop, stop:].transpose(0, 2, 1) @ missed
            lost += np.square(missed).sum(axis=1)
        result = np.empty_like(integers)
        np.put_along_axis(result, np.broadcast_to(order, integers.shape), integers, axis=1)
        return result.transpose(0, 2, 1), lost


def descend(
    weight: Floats,
    moment: Floats,
    scale: Floats,
    integers: Floats,
    limits: tuple[int, int],
    steps: int,
) -> Floats:
    """Moves one integer of each output by one, the one that gains most, until none gains.

    The objective is that of AdaRound (Nagel et al., arXiv:2004.10568), the search a greedy
    coordinate descent instead of gradients through a soft rounding.

    It starts with `integers`, `[G, O, K]`, keeps them within the `limits`, and moves each output
    `steps` times at most; `scale` as for `second_order`.
    """
    groups, outputs, width = integers.shape
    slope = np.asarray((integers * scale - weight) @ moment, np.float32).reshape(-1, width)
    curve = (np.einsum("gkk->gk", moment)[:, None, :] * np.square(scale)).reshape(-1, width)
    step = np.broadcast_to(scale, (groups, outputs, scale.shape[2])).reshape(groups * outputs, -1)
    found, group = integers.reshape(-1, width).copy(), np.repeat(np.arange(groups), outputs)
    least = -1e-9 * curve.max()
    together = max(_FEWEST_TOGETHER, _CACHED // width)
    for start in range(0, len(found), together):
        part = slice(start, start + together)
        rows = _Rows(found[part], slope[part], curve[part], step[part], group[part], limits)
        found[part] = rows.descended(moment, steps, least)
    return found.reshape(integers.shape)


class _Rows:
    """Some outputs, `[R, K]`, on their way down; those that are there are left out of the work."""

    def __init__(
        self,
        found: Floats,
        slope: Floats,
        curve: Floats,
        step: Floats,
        group: Indices,
        limits: tuple[int, int],
    ) -> None:
        self._found, self._curve, self._limits = found.copy(), curve, limits
        self._step, self._group = step, group
        self._promised = 2 * step * slope
        # A move up gains what the slope promises below zero, one down what it does above; a move
        # that would leave the limits never gains.
        self._up = np.where(found >= limits[1], np.float32(np.inf), curve)
        self._down = np.where(found <= limits[0], np.float32(np.inf), curve)

    def descended(self, moment: Floats, steps: int, least: float) -> Floats:
        """The integers from which no single move gains."""
        result, own = np.empty_like(self._found), np.arange(len(self._found))
        for _ in range(steps):
            gain = self._up + self._promised
            np.minimum(gain, self._down - self._promised, out=gain)
            rows, best = np.arange(len(gain)), gain.argmin(axis=1)
            won = gain[rows, best] < least
            if not won.any():
                break
            if won.sum() <= _WORTH_LEAVING * len(won):
                result[own[~won]] = self._found[~won]
                own, best = own[won], best[won]
                self._keep(won)
                rows, won = np.arange(len(best)), np.ones(len(best), np.bool_)
            self._move(rows[won], best[won], moment)
        result[own] = self._found
        return result

    def _move(self, rows: Indices, best: Indices, moment: Floats) -> None:
        """Moves one integer of each of some rows."""
        up, down = self._up[rows, best], self._down[rows, best]
        promised = self._promised[rows, best]
        move = np.where(up + promised < down - promised, 1.0, -1.0).astype(np.float32)
        now = self._found[rows, best] + move
        self._found[rows, best] = now
        curve, inf = self._curve[rows, best], np.float32(np.inf)
        self._up[rows, best] = np.where(now >= self._limits[1], inf, curve)
        self._down[rows, best] = np.where(now <= self._limits[0], inf, curve)
        step = self._step[rows]
        own = step[:, 0] if step.shape[1] == 1 else step[np.arange(len(rows)), best]
        change = moment[self._group[rows], best]
        change *= (2 * move * own)[:, None]
        change *= step
        if len(rows) == len(self._promised):
            self._promised += change
        else:
            self._promised[rows] += change

    def _keep(self, rows: npt.NDArray[np.bool_]) -> None:
        self._found, self._promised = self._found[rows], self._promised[rows]
        self._up, self._down = self._up[rows], self._down[rows]
        self._curve, self._step = self._curve[rows], self._step[rows]
        self._group = self._group[rows]


def rounded(weight: Floats, moment: Floats, scale: Floats, qmax: int, *, move: bool) -> Rounded:
    """Rounds with `second_order` at several scales; each output keeps the best.

    The fewer inputs an output has, the more it depends on luck how they fall between the steps, so
    the more scales are tried.

    Takes what `clip_search` takes, the moment damped; `move` says whether to descend too, from the
    best few scales of each output.
    """
    narrow = weight.shape[2] <= _NARROW
    shares = np.linspace(1.0, 0.8, 25 if narrow else 3, dtype=np.float32)
    compensation = _Compensation.of(moment)
    groups, outputs, width = weight.shape
    together = max(_FEWEST_TOGETHER, _AT_ONCE // (groups * width))
    still, moved = [], []
    for start in range(0, outputs, together):
        part = slice(start, start + together)
        tried = scale[:, part, None] * shares[:, None]  # [G, O, scales, 1]
        wanted = np.repeat(weight[:, part], len(shares), axis=1)
        integers, missed = compensation.rounded(wanted, tried.reshape(groups, -1, 1), -qmax, qmax)
        choice = _Choice(integers.reshape(*tried.shape[:3], width), tried)
        order = np.argsort(missed.reshape(tried.shape[:3]), axis=2, kind="stable")
        still.append(choice.at(order[:, :, :1]).best())
        if move:
            few = choice.at(order[:, :, : _DESCENTS if narrow else 1])
            moved.append(few.descended(weight[:, part], moment, qmax))
    return Rounded(_joined(still), _joined(moved) if move else None)


Pair = tuple[Floats, Floats]


@dataclass(frozen=True)
class Rounded:
    """Integers as float32, `[G, O, K]`, and scales, `[G, O, 1]`.

    Attributes:
        still: by `second_order`.
        moved: these after `descend`; None where that was not asked for.
    """

    still: Pair
    moved: Pair | None


@dataclass(frozen=True)
class _Choice:
    """Outputs at several scales: integers, `[G, O, S, K]`, and scales, `[G, O, S, 1]`."""

    integers: Floats
    scales: Floats

    def at(self, chosen: Indices) -> _Choice:
        """Some of the scales of each output, `[G, O, N]`."""
        places = chosen[:, :, :, None]
        return _Choice(
            np.take_along_axis(self.integers, places, axis=2),
            np.take_along_axis(self.scales, places, axis=2),
        )

    def best(self) -> Pair:
        """The first one of each output."""
        return self.integers[:, :, 0], self.scales[:, :, 0]

    def descended(self, weight: Floats, moment: Floats, qmax: int) -> Pair:
        """The best of what `descend` makes of each of them."""
        groups, outputs, count, width = self.integers.shape
        wanted = np.repeat(weight, count, axis=1)
        scale = self.scales.reshape(groups, -1, 1)
        start = self.integers.reshape(groups, -1, width)
        steps = min(_MOST_STEPS, 4 * width)
        found = descend(wanted, moment, scale, start, (-qmax, qmax), steps)
        choice = _Choice(found.reshape(self.integers.shape), self.scales)
        if count == 1:
            return choice.best()
        off = found * scale - wanted
        missed = np.einsum("gok,gok->go", off @ moment, off).reshape(groups, outputs, count)
        return choice.at(missed.argmin(axis=2)[:, :, None]).best()


def _joined(parts: Sequence[Pair]) -> Pair:
    """Outputs one behind the other."""
    integers, scales = zip(*parts, strict=True)
    return np.concatenate(integers, axis=1), np.concatenate(scales, axis=1)
