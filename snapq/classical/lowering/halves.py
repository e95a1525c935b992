"""Weights of two times 8 bits, for activations of 16 bits.

The weights are what 8 bits ruin of an SVM: decisions are small differences of large sums. Every
chip takes weights of 8 bits beside activations of 16, and only some take 16 beside 16. So

    w = high + low,  high = round(w / s) s,  s = largest |w| of the channel / 127

in the first layer by columns, `[high, 128 low]` for a row `[x', x' / 128]`; in the second by
targets, each with a scale of its own, which the host adds up. The NPU has as many nodes as before.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snapq.classical.lowering.layers import Floats, Layers, narrowed

SHARE = 128.0
"""What the lower half is multiplied with, and its columns divided by: a power of two."""
_LEVELS = 127
_LEAST = 1 / 64
"""Of a step: a rest that is worth a half of its own; below are weights that 8 bits hold."""


def in_halves(made: Layers, rows: Floats) -> Layers:
    """The same layers with both their weights in halves, in float32.

    Args:
        made: in float32.
        rows: float64 [N, F] as the estimator is given them; they say how large sums of lower halves
            are. N may be 0.
    """
    return narrowed(_with_first(_with_second(made, rows)))


def _with_second(made: Layers, rows: Floats) -> Layers:
    high, low = _halves(made.second)
    if not low.any():
        return made
    # Without rows each number that enters may be near 1.
    given = hidden(made, rows) if len(rows) else np.sign(low)
    size = np.abs(given @ low.T).max(axis=0, initial=0.0)
    # As large as the upper half, whose encoding it shares.
    factor = 2.0 ** np.floor(-np.log2(np.where(size > 0, size, 1 / SHARE)))
    factor = np.clip(factor, 1.0, 2.0**20)
    return replace(
        made,
        second=np.concatenate([high, low * factor[:, None]]),
        second_bias=np.concatenate([made.second_bias, np.zeros(len(factor))]),
        sum_scale=np.concatenate([made.sum_scale, made.sum_scale / factor]),
    )


def hidden(made: Layers, rows: Floats) -> Floats:
    """What the second layer is given for rows, in float64."""
    x: Floats = np.clip((rows - made.offset) * made.scale, -made.largest_entry, made.largest_entry)
    if made.first is None:
        return x
    if made.reach is not None:  # exact here: the second of both columns is the rest of the first
        squares = (x * x).sum(axis=1, keepdims=True)
        x = np.concatenate([x, squares, np.zeros_like(squares)], axis=1)
    t = x @ made.first.T + np.asarray(made.first_bias)
    for weights, bias in made.inner:
        t = _kernel(made, t) @ weights.T + bias
    return _kernel(made, t)


def _kernel(made: Layers, t: Floats) -> Floats:
    if made.kernel == "EXP":
        return np.asarray(np.exp(np.clip(t, -80.0, 80.0)))
    if made.kernel == "TANH":
        return np.asarray(np.tanh(t))
    if made.kernel == "RELU":
        return np.asarray(np.maximum(t, 0))
    total: Floats = t
    for added in made.steps:
        total = (added + total) * t
    return total


def _with_first(made: Layers) -> Layers:
    if made.first is None:
        return made
    high, low = _halves(made.first)
    if not low.any():
        return made
    return replace(made, first=np.concatenate([high, low * SHARE], axis=1), halves=True)


def _halves(weights: Floats) -> tuple[Floats, Floats]:
    """Weights that 8 bits hold, and the rest."""
    weights = weights.astype(np.float64)
    step = np.abs(weights).max(axis=1, keepdims=True, initial=0.0) / _LEVELS
    step = np.where(step > 0, step, 1.0)
    high = np.round(weights / step) * step
    low = weights - high
    return high, np.where(
        np.abs(low).max(axis=1, keepdims=True, initial=0.0) > _LEAST * step, low, 0.0
    )
