"""Rounding of weights so that a layer's output, not each weight, is kept: numpy on arrays.

The error of a layer with weight `W` (`[O, K]`) and rounded weight `R` is
`trace((R - W) H (R - W)')`, where `H` (`[K, K]`) is the second moment of its input. All functions
work on a batch of groups at once: `W [G, O, K]`, `H [G, K, K]`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["clip_search", "damped", "descend", "rounded", "second_order"]

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
_DAMPING = 0.01
"""Share of the mean of H's diagonal that is added to it."""
_DOUBT = 0.25
"""The same for each input an observation: what few samples say of many inputs is partly chance."""

_CACHED = 1 << 16
"""Weights that are worked on at once: with what belongs to them they fit into a cache."""
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
    return _Compensation.of(moment).rounded(weight, scale, qmin, qmax)


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
        sorted_moment = np.take_along_axis(
            np.take_along_axis(moment, order[:, :, None], axis=1), order[:, None, :], axis=2
        )
        inverse = np.linalg.inv(sorted_moment.astype(np.float64))
        upper = np.linalg.cholesky((inverse + inverse.transpose(0, 2, 1)) / 2)
        return cls(order, upper.transpose(0, 2, 1).astype(np.float32))

    def rounded(self, weight: Floats, scale: Floats, qmin: int, qmax: int) -> Floats:
        """Integers of weights, `[G, O, K]` each; outputs do not hang on each other.

        So many of them are done at once as stay in a processor's cache.
        """
        groups, outputs, width = weight.shape
        steps = np.broadcast_to(scale, weight.shape)
        integers = np.empty(weight.shape, np.float32)
        together = max(_FEWEST_TOGETHER, _CACHED // (groups * width))
        for start in range(0, outputs, together):
            part = slice(start, start + together)
            integers[:, part] = self._part(weight[:, part], steps[:, part], (qmin, qmax))
        return integers

    def _part(self, weight: Floats, steps: Floats, limits: tuple[int, int]) -> Floats:
        order, upper = self.order[:, :, None], self.upper
        # [G, K, O]: what one input of all outputs adds to all inputs behind it lies together.
        left = np.take_along_axis(weight.transpose(0, 2, 1), order, axis=1)
        steps = np.take_along_axis(steps.transpose(0, 2, 1), order, axis=1)
        integers, spread = np.empty_like(left), np.empty_like(left)
        for k in range(left.shape[1]):
            column, step = left[:, k], steps[:, k]
            integers[:, k] = np.clip(np.rint(column / step), *limits)
            missed = (column - integers[:, k] * step) / upper[:, k, k][:, None]
            behind = spread[:, k + 1 :]
            np.multiply(missed[:, None, :], upper[:, k, k + 1 :, None], out=behind)
            left[:, k + 1 :] -= behind
        result = np.empty_like(integers)
        np.put_along_axis(result, np.broadcast_to(order, integers.shape), integers, axis=1)
        return result.transpose(0, 2, 1)


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
    step = np.broadcast_to(scale, integers.shape).reshape(-1, width)
    found, group = integers.reshape(-1, width).copy(), np.repeat(np.arange(groups), outputs)
    least = -1e-9 * curve.max()
    together = max(_FEWEST_TOGETHER, _CACHED // width)
    for start in range(0, len(found), together):
        part = slice(start, start + together)
        rows = _Rows(found[part], slope[part], curve[part], step[part], group[part])
        found[part] = rows.descended(moment, limits, steps, least)
    return found.reshape(integers.shape)


class _Rows:
    """Some outputs, `[R, K]`, on their way down; those that are there are left out of the work."""

    def __init__(
        self, found: Floats, slope: Floats, curve: Floats, step: Floats, group: Indices
    ) -> None:
        self._found, self._slope, self._curve = found.copy(), slope.copy(), curve
        self._step, self._group = step, group

    def descended(
        self, moment: Floats, limits: tuple[int, int], steps: int, least: float
    ) -> Floats:
        """The integers from which no single move gains."""
        result, own = np.empty_like(self._found), np.arange(len(self._found))
        for _ in range(steps):
            # Up gains what `slope` below zero promises, down what it promises above.
            promised = 2 * self._step * self._slope
            gain = self._curve - np.abs(promised)
            self._bar(gain, promised, limits)
            rows, best = np.arange(len(gain)), gain.argmin(axis=1)
            won = gain[rows, best] < least
            if not won.any():
                break
            if won.sum() <= _WORTH_LEAVING * len(won):
                result[own[~won]] = self._found[~won]
                own, best, promised = own[won], best[won], promised[won]
                self._keep(won)
                rows, won = np.arange(len(best)), np.ones(len(best), np.bool_)
            move = np.where(won, -np.sign(promised[rows, best]), 0.0).astype(np.float32)
            self._found[rows, best] += move
            moved = move * self._step[rows, best]
            self._slope += moved[:, None] * moment[self._group, best]
        result[own] = self._found
        return result

    def _bar(self, gain: Floats, promised: Floats, limits: tuple[int, int]) -> None:
        """Takes the gain from moves that would leave the limits."""
        gain[(self._found <= limits[0]) & (promised > 0)] = np.inf
        gain[(self._found >= limits[1]) & (promised < 0)] = np.inf

    def _keep(self, rows: npt.NDArray[np.bool_]) -> None:
        self._found, self._slope = self._found[rows], self._slope[rows]
        self._curve, self._step = self._curve[rows], self._step[rows]
        self._group = self._group[rows]


def rounded(
    weight: Floats, moment: Floats, scale: Floats, qmax: int, *, move: bool
) -> tuple[Floats, Floats]:
    """Rounds with `second_order`, then `descend`, at several scales; each output keeps the best.

    The fewer inputs an output has, the more it depends on luck how they fall between the steps, so
    the more scales are tried.

    Takes what `clip_search` takes, the moment damped; `move` says whether to descend. Gives
    integers as float32, `[G, O, K]`, and scales, `[G, O, 1]`.
    """
    width = weight.shape[2]
    shares = np.linspace(1.0, 0.8, 25 if width <= _NARROW else 3, dtype=np.float32)
    best, found, least = weight, scale, np.full_like(scale, np.inf)
    compensation = _Compensation.of(moment)
    for share in shares:
        tried = scale * share
        integers = compensation.rounded(weight, tried, -qmax, qmax)
        if move:
            steps = min(_MOST_STEPS, 4 * width)
            integers = descend(weight, moment, tried, integers, (-qmax, qmax), steps)
        off = integers * tried - weight
        missed = np.einsum("gok,gok->go", off @ moment, off)[:, :, None]
        won = missed < least
        best, found = np.where(won, integers, best), np.where(won, tried, found)
        least = np.minimum(missed, least)
    return best, found
