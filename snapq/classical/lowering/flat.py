"""RBF kernels that are near 1 everywhere: with a small gamma decisions are tiny parts of them.

Of kernels between 0.9 and 1, weighed with a large C, 16 bits keep the 1 and lose what tells rows
apart. What the NPU computes is therefore

    K - 1 = exp(t) - 1 = c1 t + c2 t^2 + …,  t = -|x' - v|^2

by Horner's scheme; the sum of the weights goes into the offset. A gamma of 0.0001 with C = 1,000
went from 15 to 55 dB in 16-bit floating point (wine), and from 22 to 60 dB at w8a16.
"""

from __future__ import annotations

import numpy as np

from snapq.classical.svm import SupportVectors

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

LARGEST_SQUARE = 2.5
"""Of a distance: beyond, the polynomial takes more products than its accuracy is worth."""
_LEAST_DB = 45.0
"""SQNR from which a kernel that is rounded to 16-bit floating point is good enough."""
_ROUNDING = 2.0**-12 / np.sqrt(3)
"""Standard deviation of the rounding of a 16-bit float near 1."""
_ERROR = 1e-5
"""Of the polynomial, by its range."""
_STRAIGHT = 1e-4
"""Distance up to which exp(t) - 1 is t, but for half of it."""
_LARGEST_STEP = 64.0
"""Of the constants that Horner's scheme adds."""
_MOST = 9
_ROWS = 512


def is_flat(form: SupportVectors, scaled: Floats) -> bool:
    """Whether the kernels of a machine are too near 1 for 16 bits.

    Args:
        form: an RBF kernel.
        scaled: its vectors, centred and multiplied with the root of gamma [S, F].
    """
    lengths = (scaled * scaled).sum(axis=1)
    if not 0 < lengths.max(initial=0.0) <= LARGEST_SQUARE / 4:
        return False
    sums = form.sums(form.vectors[:: max(1, len(form.vectors) // _ROWS)])
    size = np.sqrt((form.coefficients.astype(np.float64) ** 2).sum(axis=1))
    noise = _ROUNDING * np.maximum(size, 1e-30)
    spread = np.maximum(sums.std(axis=0), 1e-30)
    return bool((20 * np.log10(spread / noise)).min() < _LEAST_DB)


def reach_of(scaled: Floats) -> float:
    """The largest |x'|^2 that the polynomial is for: twice that of a vector, as far as it goes.

    Args:
        scaled: vectors, centred and scaled [S, F].
    """
    longest = float((scaled * scaled).sum(axis=1).max(initial=0.0))
    most = (np.sqrt(LARGEST_SQUARE) - np.sqrt(longest)) ** 2
    return float(min(2 * longest, most))


def polynomial(largest: float) -> tuple[Floats, float]:
    """Coefficients of u, u^2 and so on of exp(t) - 1 for t from -`largest` to 0, and u / t.

    u and what Horner's scheme makes of it are numbers that 16-bit floating point holds well.
    """
    found = _coefficients(largest)
    degree = len(found)
    size = 1 / largest
    if degree > 1:
        size = min(size, float((_LARGEST_STEP * abs(found[-1])) ** (1 / (degree - 1))))
    size = float(2.0 ** np.floor(np.log2(size)))
    return np.asarray(found / size ** np.arange(1, degree + 1)), size


def _coefficients(largest: float) -> Floats:
    if largest < _STRAIGHT:
        return np.ones(1)
    angles = np.pi * (np.arange(1, 400) - 0.5) / 399
    t = -largest * (1 + np.cos(angles)) / 2
    found = np.ones(1)
    for degree in range(2, _MOST + 1):
        powers = np.stack([t ** (k + 1) for k in range(degree)], axis=1)
        sizes = largest ** np.arange(1, degree + 1)
        found = np.linalg.lstsq(powers / sizes, np.expm1(t), rcond=None)[0] / sizes
        if np.abs(powers @ found - np.expm1(t)).max() <= _ERROR * min(largest, 1.0):
            break
    return np.asarray(found, np.float64)
