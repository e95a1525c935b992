"""What stands behind the decision values of a support vector machine."""

from __future__ import annotations

import numpy as np

from ..registry import operation
from ..step import Array, Step
from .elementwise import sigmoid

LOOPS = 100


def tolerance(classes: int) -> Array:
    """The error below which a row is near enough, float32."""
    return np.asarray(np.float32(0.005) / np.float32(classes))


LEAST = np.float32(1e-7)
"""Bound of the probabilities of pairs."""


@operation("couple_pairs")
def couple_pairs(step: Step, scores: Array) -> Array:
    """Makes probabilities of K classes from the decision values of K (K - 1) / 2 pairs.

    The second method of Wu, Lin and Weng (2004), "Probability estimates for multi-class
    classification by pairwise coupling", with the number of loops and the tolerance of LIBSVM and
    of ONNX Runtime.

    Args:
        step: its attribute `classes` is K; its arrays `prob_a`, `prob_b` [K (K - 1) / 2] are the
            curves of Platt.
        scores: float32 [N, K (K - 1) / 2], a decision for each pair.

    Returns:
        float32 [N, K].
    """
    classes = int(step.attributes["classes"])
    rows = len(scores)
    pairs = _chances(step, scores * step.arrays["prob_a"] + step.arrays["prob_b"])
    against = np.zeros((rows, classes, classes), np.float32)
    first, second = np.triu_indices(classes, 1)
    against[:, first, second] = pairs
    against[:, second, first] = np.float32(1) - pairs
    # Q[i, i] = sum of r[j, i]^2 over j, Q[i, j] = -r[j, i] r[i, j]
    turned = np.swapaxes(against, 1, 2)
    q = -turned * against
    diagonal = np.arange(classes)
    q[:, diagonal, diagonal] = np.sum(turned * turned, axis=2)
    p = np.full((rows, classes), 1 / classes, np.float32)
    open_rows = np.arange(rows)
    limit = tolerance(classes)
    for _ in range(LOOPS):
        qp = np.einsum("nij,nj->ni", q[open_rows], p[open_rows])
        pqp = np.sum(p[open_rows] * qp, axis=1)
        # ONNX Runtime leaves out what is NaN: a row of nothing else keeps equal probabilities.
        errors = np.fmax.reduce(np.abs(qp - pqp[:, None]), axis=1, initial=np.float32(0))
        unfinished = errors >= limit
        open_rows, qp, pqp = open_rows[unfinished], qp[unfinished], pqp[unfinished]
        if not len(open_rows):
            break
        part, guess = q[open_rows], p[open_rows]
        for i in range(classes):
            diff = (pqp - qp[:, i]) / part[:, i, i]
            guess[:, i] += diff
            pqp = (pqp + diff * (diff * part[:, i, i] + 2 * qp[:, i])) / (1 + diff) / (1 + diff)
            qp = (qp + diff[:, None] * part[:, i]) / (1 + diff)[:, None]
            guess /= (1 + diff)[:, None]
        p[open_rows] = guess
    return p


def _chances(step: Step, bent: Array) -> Array:
    """The probability of the first class of each pair, as ONNX Runtime bounds it."""
    one = np.float32(1)
    chances = np.subtract(one, sigmoid(step, np.asarray(bent, np.float32)))
    return np.asarray(np.clip(chances, LEAST, one - LEAST), np.float32)
