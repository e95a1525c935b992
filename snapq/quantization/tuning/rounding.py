"""Rounding of weights so that a layer's output, not each weight, is kept: numpy on arrays.

The error of a layer with weight `W` (`[O, K]`) and rounded weight `R` is
`trace((R - W) H (R - W)')`, where `H` (`[K, K]`) is the second moment of its input. All functions
work on a batch of groups at once: `W [G, O, K]`, `H [G, K, K]`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["clip_search", "damped", "descend", "rounded", "second_order"]

Floats = npt.NDArray[np.float32]
_DAMPING = 0.01
"""Share of the mean of H's diagonal that is added to it."""
_DOUBT = 0.25
"""The same for each input an observation: what few samples say of many inputs is partly chance."""

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
    order = np.argsort(-np.einsum("gkk->gk", moment), axis=1, kind="stable")
    sorted_moment = np.take_along_axis(
        np.take_along_axis(moment, order[:, :, None], axis=1), order[:, None, :], axis=2
    )
    inverse = np.linalg.inv(sorted_moment.astype(np.float64))
    upper = np.linalg.cholesky((inverse + inverse.transpose(0, 2, 1)) / 2)
    upper = upper.transpose(0, 2, 1).astype(np.float32)
    left = np.take_along_axis(weight, order[:, None, :], axis=2).copy()
    steps = np.broadcast_to(scale, weight.shape)
    steps = np.take_along_axis(steps, order[:, None, :], axis=2)
    integers = np.empty_like(left)
    for k in range(left.shape[2]):
        column, step = left[:, :, k : k + 1], steps[:, :, k : k + 1]
        integers[:, :, k : k + 1] = np.clip(np.rint(column / step), qmin, qmax)
        missed = (column - integers[:, :, k : k + 1] * step) / upper[:, k, k][:, None, None]
        left[:, :, k + 1 :] -= missed * upper[:, k : k + 1, k + 1 :]
    result = np.empty_like(integers)
    np.put_along_axis(result, np.broadcast_to(order[:, None, :], integers.shape), integers, axis=2)
    return result


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
    found = integers.copy()
    slope = (found * scale - weight) @ moment
    curve = np.einsum("gkk->gk", moment)[:, None, :] * np.square(scale)
    groups, outputs = np.ogrid[: found.shape[0], : found.shape[1]]
    for _ in range(steps):
        up = np.where(found < limits[1], curve + 2 * scale * slope, np.inf)
        down = np.where(found > limits[0], curve - 2 * scale * slope, np.inf)
        gain = np.minimum(up, down)
        best = gain.argmin(axis=2)
        won = gain[groups, outputs, best] < -1e-9 * curve.max()
        if not won.any():
            break
        sign = np.where(up[groups, outputs, best] <= down[groups, outputs, best], 1.0, -1.0)
        move = np.where(won, sign, 0.0).astype(np.float32)
        found[groups, outputs, best] += move
        moved = move * np.broadcast_to(scale, found.shape)[groups, outputs, best]
        slope += moved[:, :, None] * moment[groups, best]
    return found


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
    for share in shares:
        tried = scale * share
        integers = second_order(weight, moment, tried, -qmax, qmax)
        if move:
            steps = min(_MOST_STEPS, 4 * width)
            integers = descend(weight, moment, tried, integers, (-qmax, qmax), steps)
        off = integers * tried - weight
        missed = np.einsum("gok,gok->go", off @ moment, off)[:, :, None]
        won = missed < least
        best, found = np.where(won, integers, best), np.where(won, tried, found)
        least = np.minimum(missed, least)
    return best, found
