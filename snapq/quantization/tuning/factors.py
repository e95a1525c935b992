"""The Cholesky factor of a moment's inverse, without the inverse: numpy on arrays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["inverse_factor"]

Doubles = npt.NDArray[np.float64]

_SMALL = 64
"""Matrices of this size are inverted as a whole."""


def inverse_factor(moment: Doubles) -> Doubles:
    """The upper triangular `U` with `U' U` the inverse of a positive definite one, `[..., K, K]`.

    With `R` upper triangular and `R R'` the moment, which is a Cholesky factorization from the last
    row to the first, `U` is the inverse of `R`. That takes a third of what it takes to invert
    the moment and to factorize that.
    """
    lower = np.asarray(np.linalg.cholesky(moment[..., ::-1, ::-1]), np.float64)
    return _inverted(lower[..., ::-1, ::-1])


def _inverted(upper: Doubles) -> Doubles:
    """The inverse of upper triangular matrices, by halves."""
    size = upper.shape[-1]
    if size <= _SMALL:
        return np.triu(np.linalg.inv(upper))
    half = size // 2
    first, last = _inverted(upper[..., :half, :half]), _inverted(upper[..., half:, half:])
    found = np.zeros_like(upper)
    found[..., :half, :half], found[..., half:, half:] = first, last
    found[..., :half, half:] = -first @ (upper[..., :half, half:] @ last)
    return found
