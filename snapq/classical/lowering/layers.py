"""An SVM or a linear model as two layers that 16 bits hold: constants only, found in float64.

A row is brought to numbers near 1 by the host, `x' = (x - offset) scale`; the NPU computes

    t = first x' + bias,  K = kernel(t),  y = second K + bias

and the host makes decision values of y, `y sum_scale + sum_offset`. What can be folded without
another result is: gamma, coef0, the scales, and of a linear kernel the vectors.

- RBF depends on differences only, so that rows and vectors are centred on the mean of the vectors
  and multiplied by sqrt(gamma). `-|x' - v|^2 = 2 v x' - |v|^2 - |x'|^2` is one product: the host
  gives `|x'|^2` as two more columns, its nearest 16-bit float and the rest, so that nothing but the
  (small) sum is rounded, and the NPU need not compute it.
- POLY of `u + a`, where u comes of the centred row and a of the centre, less its constant part:
  `(u + a)^d - a^d` is a polynomial without constant term, which has no large numbers that cancel.
- Each column of y is scaled, so that it is near 1 for the support vectors themselves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from snapq.classical.linear import Linear
from snapq.classical.lowering.flat import is_flat, polynomial, reach_of
from snapq.classical.perceptron import Perceptron
from snapq.classical.svm import SupportVectors
from snapq.errors import ModelError

Floats = NDArray[np.floating[Any]]
Lowerable = SupportVectors | Linear | Perceptron

LARGEST_DEGREE = 16
"""Of a polynomial kernel; each costs two operations on the NPU."""
_MOST_ROWS = 512
"""Rows whose decision values say how large these are."""
_NEVER_SEEN = 80.0
"""Squared distance from which an RBF kernel counts as 0: exp(-80) is 1e-35."""
_LARGEST_ENTRY = 1e4
"""Of a scaled row: what is beyond is computed by the host, because 16 bits may overflow."""
_LARGEST_SQUARE = 3e4
"""Length of a scaled support vector, squared; a 16-bit float ends at 65,504."""
_LARGEST_WEIGHT = 1e3
"""Of the second layer, beside columns of y near 1."""


@dataclass(frozen=True)
class Layers:
    """The constants of both layers, and of the host's part around them.

    Attributes:
        offset: float32 [F], taken from a row.
        scale: float32 [F], then multiplied with.
        reach: of RBF the largest |x'|^2 at which a kernel can differ from 0; None for others.
        first: float32 [S, columns], weights of the first layer; None where there is no kernel.
        first_bias: float32 [S].
        inner: weights and biases of further layers, of a perceptron, each behind a kernel.
        kernel: what is computed of the first layer's result.
        steps: of POLY, float32 [degree - 1, S], what Horner's scheme adds.
        second: float32 [D, S], or [D, F] where there is no first layer.
        second_bias: float32 [D].
        sum_scale: float32 [D]; [2 D] where `second` has a second half, which the host adds.
        sum_offset: float32 [D].
        flat: whether it computes RBF kernels less 1; rows out of reach are left to the host.
        halves: whether `first` has as many columns again, for the row divided by 128.
    """

    offset: Floats
    scale: Floats
    reach: float | None
    first: Floats | None
    first_bias: Floats | None
    kernel: Literal["NONE", "EXP", "POLY", "TANH", "RELU"]
    steps: Floats
    second: Floats
    second_bias: Floats
    sum_scale: Floats
    sum_offset: Floats
    halves: bool = False
    inner: tuple[tuple[Floats, Floats], ...] = ()
    flat: bool = False

    @property
    def columns(self) -> int:
        """How many numbers the NPU is given a row."""
        own = len(self.offset) + (0 if self.reach is None else 2)
        return 2 * own if self.halves else own

    @property
    def largest_entry(self) -> float:
        """The largest entry of a scaled row that the NPU is given."""
        return _LARGEST_ENTRY


def layers(form: Lowerable, rows: Floats | None = None) -> Layers:
    """Finds the constants of both layers.

    Args:
        form: the estimator.
        rows: float [N, F], rows as it is given them, which say how large features and results
            are; the support vectors serve where there are none.

    Raises:
        ModelError: a kernel that no finite number of products computes, or numbers that 32 bits
            do not hold.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        made = _scaled(_two_layers(form, rows), form, rows)
        narrow = narrowed(made)
    for name, value in vars(narrow).items():
        if isinstance(value, np.ndarray) and not np.isfinite(value).all():
            raise ModelError(
                f"The estimator '{form.name}' has numbers that 32 bits do not hold "
                f"({name.replace('_', ' ')}).",
                hint="Scale the features before it is trained.",
            )
    return narrow


def narrowed(made: Layers) -> Layers:
    """The same in float32."""
    changes: dict[str, Any] = {
        name: np.asarray(value, np.float32)
        for name, value in vars(made).items()
        if isinstance(value, np.ndarray)
    }
    changes["inner"] = tuple(
        (np.asarray(weights, np.float32), np.asarray(bias, np.float32))
        for weights, bias in made.inner
    )
    return replace(made, **changes)


def _two_layers(form: Lowerable, rows: Floats | None) -> Layers:
    """The layers in float64, before their results are scaled."""
    if isinstance(form, Linear):
        return _linear(form.weights.astype(np.float64), form.offsets, *_spread_of(form, rows))
    if isinstance(form, Perceptron):
        return _perceptron(form, rows)
    vectors = form.vectors.astype(np.float64)
    coefficients = form.coefficients.astype(np.float64)
    if form.kernel == "RBF" and form.gamma > 0:
        return _rbf(form, vectors, coefficients)
    if form.kernel == "RBF":
        raise ModelError(
            f"The RBF kernel of '{form.name}' has gamma {form.gamma:g}.",
            hint="A kernel that falls with the distance has a gamma above 0.",
        )
    centre, scale = _spread(vectors if rows is None else rows.astype(np.float64))
    if form.kernel == "LINEAR":
        return _linear(coefficients @ vectors, form.offsets, centre, scale)
    inner = form.gamma * vectors / scale
    at_centre = form.gamma * (vectors @ centre) + form.coef0
    plain = Layers(
        *(centre, scale, None, inner, at_centre, "TANH", np.zeros((0, len(vectors)))),
        *(coefficients, form.offsets, np.ones(form.targets), np.zeros(form.targets)),
    )
    if form.kernel == "SIGMOID":
        return plain
    return _polynomial(form, plain, (vectors - centre) * scale)


def _linear(weights: Floats, offsets: Floats, centre: Floats, scale: Floats) -> Layers:
    """One layer: what there is of a linear kernel once the vectors are added up."""
    targets = len(offsets)
    return Layers(
        *(centre, scale, None, None, None, "NONE", np.zeros((0, 0)), weights / scale),
        *(offsets + weights @ centre, np.ones(targets), np.zeros(targets)),
    )


def _perceptron(form: Perceptron, rows: Floats | None) -> Layers:
    """All layers. A sigmoid is half a tanh of the half, and a half, which the next layer takes in.

    In 16-bit floating point a Sigmoid is coarse near 0 and 1.
    """
    known = rows is not None and len(rows) > 0
    seen = np.zeros((0, form.features)) if rows is None else rows.astype(np.float64)
    plain: tuple[Floats, Floats] = (np.zeros(form.features), np.ones(form.features))
    centre, scale = _spread(seen) if known else plain
    dense = [
        (layer.weights.astype(np.float64), layer.offsets.astype(np.float64))
        for layer in form.layers
    ]
    if form.activation == "Sigmoid":
        (weights, bias), *others = dense
        dense = [(weights / 2, bias / 2)]
        for number, (weights, bias) in enumerate(others, 2):
            share = 1.0 if number == len(form.layers) else 0.5
            dense.append((weights / 2 * share, (bias + weights.sum(axis=1) / 2) * share))
    (weights, bias), *inner, (second, second_bias) = dense
    return Layers(
        *(centre, scale, None, weights / scale, bias + weights @ centre),
        *("RELU" if form.activation == "Relu" else "TANH", np.zeros((0, len(weights)))),
        *(second, second_bias, np.ones(form.targets), np.zeros(form.targets)),
        inner=tuple(inner),
    )


def _rbf(form: SupportVectors, vectors: Floats, coefficients: Floats) -> Layers:
    """exp(-|x' - v|^2), with the squared length of x' as two more columns."""
    centre = _narrow(vectors.mean(axis=0))
    root = math.sqrt(form.gamma)
    scaled = (vectors - centre) * root
    squares = (scaled * scaled).sum(axis=1)
    if not squares.max(initial=0.0) <= _LARGEST_SQUARE:
        raise ModelError(
            f"The RBF kernel of '{form.name}' is too narrow for 16 bits: with gamma "
            f"{form.gamma:g} squared distances come to {squares.max():.3g}, kernels to 0.",
            hint="Scale the features before it is trained, or leave it on the CPU.",
        )
    made = Layers(
        offset=centre,
        scale=np.full(form.features, root),
        reach=float((math.sqrt(squares.max(initial=0.0)) + math.sqrt(_NEVER_SEEN)) ** 2),
        first=np.concatenate([2 * scaled, -np.ones((len(vectors), 2))], axis=1),
        first_bias=-squares,
        kernel="EXP",
        steps=np.zeros((0, len(vectors))),
        second=coefficients,
        second_bias=form.offsets,
        sum_scale=np.ones(form.targets),
        sum_offset=np.zeros(form.targets),
    )
    if not is_flat(form, scaled):
        return made
    return _flat(made, scaled, reach_of(scaled))


def _flat(made: Layers, scaled: Floats, reach: float) -> Layers:
    """The same with K - 1 in the place of K, as a polynomial of the squared distance."""
    squares = (scaled * scaled).sum(axis=1)
    longest = float(squares.max())
    largest = float((math.sqrt(longest) + math.sqrt(reach)) ** 2)
    found, size = polynomial(largest)
    steps = np.array(found[-2::-1] / found[-1])
    # Rows and vectors are made as long as 1.
    length = math.sqrt(longest)
    columns = np.concatenate([2 * scaled / length, -np.ones((len(scaled), 2))], axis=1)
    return replace(
        made,
        scale=made.scale / length,
        reach=reach / longest,
        first=columns * size * longest,
        first_bias=-squares * size,
        kernel="POLY",
        steps=np.repeat(steps[:, None], len(scaled), axis=1),
        second=made.second * found[-1],
        second_bias=made.second_bias + made.second.sum(axis=1),
        flat=True,
    )


def _polynomial(form: SupportVectors, plain: Layers, scaled: Floats) -> Layers:
    """(u + a)^d as a^d, which is added to the offsets, and a polynomial in u by Horner."""
    degree = int(form.degree)
    if degree != form.degree or not 0 <= degree <= LARGEST_DEGREE:
        raise ModelError(
            f"The polynomial kernel of '{form.name}' has degree {form.degree:g}; the NPU computes "
            f"whole ones from 0 to {LARGEST_DEGREE}.",
            hint="Leave the estimator on the CPU.",
        )
    assert plain.first is not None
    constant = np.asarray(plain.first_bias)
    offsets = plain.second_bias + plain.second @ constant**degree
    some = scaled[:: max(1, len(scaled) // _MOST_ROWS)]
    size = max(np.abs(some @ plain.first.T).max(initial=0.0), np.abs(constant).max(), 1e-30)
    if degree == 0:
        size = 1.0
    small = constant / size
    steps = [math.comb(degree, k) * small ** (degree - k) for k in range(degree - 1, 0, -1)]
    return replace(
        plain,
        first=plain.first / size,
        first_bias=np.zeros(len(constant)),
        kernel="POLY",
        steps=np.array(steps).reshape(len(steps), len(constant)),
        second=plain.second * (size**degree if degree else 0.0),
        second_bias=offsets,
    )


def _scaled(made: Layers, form: Lowerable, rows: Floats | None) -> Layers:
    """The layers with columns of y near 1, and a constant part of y left to the host."""
    most = np.abs(made.second).max(axis=1, initial=0.0)
    seen = seen_rows(form, rows)
    if not len(seen):
        size = np.where(most > 0, most, 1.0)
        kept = made.second_bias if isinstance(form, Linear) else np.zeros(form.targets)
    else:
        sums = form.sums(seen.astype(np.float32))
        middle, spread = sums.mean(axis=0), sums.std(axis=0)
        kept = np.where(np.abs(middle) > 2 * spread, middle, 0.0)
        largest = np.abs(sums - kept).max(axis=0)
        size = np.maximum(np.where(largest > 0, largest, 1.0), most / _LARGEST_WEIGHT)
        size = _fitting(size, most)
    return replace(
        made,
        second=made.second / size[:, None],
        second_bias=(made.second_bias - kept) / size,
        sum_scale=size,
        sum_offset=kept,
    )


def seen_rows(form: Lowerable, rows: Floats | None) -> Floats:
    """Some rows, float64 [N, F], of the user's or of the model's own."""
    if rows is None:
        rows = form.vectors if isinstance(form, SupportVectors) else np.zeros((0, form.features))
    return np.asarray(rows[:: max(1, len(rows) // _MOST_ROWS)], np.float64)


def _fitting(size: Floats, most: Floats) -> Floats:
    """Sizes, up to twice as large, by which the largest weights become powers of two.

    Most weights of an SVM are the largest one, C: so they are exact in 16 bits.
    """
    known = np.where(most > 0, most, size)
    return np.asarray(known / 2.0 ** np.floor(np.log2(known / size)))


def _spread_of(form: Linear, rows: Floats | None) -> tuple[Floats, Floats]:
    """Centre and scale of the features of a linear model, of which only the weights are known."""
    if rows is not None and len(rows):
        return _spread(rows.astype(np.float64))
    # Each feature as large as what it adds: an error counts alike in all of them.
    size = np.abs(form.weights.astype(np.float64)).max(axis=0, initial=0.0)
    size = size / max(size.max(initial=0.0), 1e-30)
    return np.zeros(form.features), _narrow(np.where(size > 0, size, 1.0))


def _spread(rows: Floats) -> tuple[Floats, Floats]:
    """Means of the columns, and 1 / standard deviation; 1 for a column that is constant."""
    centre = _narrow(rows.mean(axis=0))
    deviation = rows.std(axis=0)
    constant = deviation <= 1e-6 * np.abs(centre)
    return centre, _narrow(1 / np.where(constant | (deviation == 0), 1.0, deviation))


def _narrow(values: Floats) -> Floats:
    """Rounded to what float32 holds, as float64: the host computes with just these."""
    return np.asarray(values, np.float32).astype(np.float64)
