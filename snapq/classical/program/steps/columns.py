"""Sums of columns of one matrix."""

from __future__ import annotations

import numpy as np

from ..registry import operation
from ..step import Array, Step


@operation("add_columns")
def add_columns(step: Step, x: Array) -> Array:
    """Makes each column by adding columns, with signs; no other column has a part in it.

    Args:
        step: its arrays `columns` int64 [K, L], `signs` float32 [K, L] (1 or -1) and `added`
            float32 [K]; its attribute `width` is D.
        x: float32 [N, D].

    Returns:
        float32 [N, K].
    """
    columns, signs = step.arrays["columns"], step.arrays["signs"]
    if np.isfinite(x).all():
        return np.asarray(x @ matrix(step) + step.arrays["added"])
    # A product would spread NaN and infinities to all columns.
    terms = np.take(x, columns.reshape(-1), axis=1).reshape(len(x), *columns.shape) * signs
    return np.asarray(np.sum(terms, axis=2, dtype=np.float32) + step.arrays["added"])


def matrix(step: Step) -> Array:
    """What sums columns as a product: float32 [D, K]."""
    columns, signs = step.arrays["columns"], step.arrays["signs"]
    found = np.zeros((step.attributes["width"], len(columns)), np.float32)
    for term in range(columns.shape[1]):
        np.add.at(found, (columns[:, term], np.arange(len(columns))), signs[:, term])
    return found
