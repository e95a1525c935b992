"""Rows whose numbers are beyond what the NPU holds: the host computes their sums itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..registry import operation
from ..step import Array, Step

LARGEST = 1e15
"""Of an entry of a row, whose square is finite; no kernel is above 0 there."""
_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "Relu": lambda x: np.maximum(x, 0),
    "Sigmoid": lambda x: 0.5 + 0.5 * np.tanh(0.5 * x),
    "Tanh": np.tanh,
}


@operation("sums_of_far_rows")
def sums_of_far_rows(step: Step, sums: Array, rows: Array) -> Array:
    """Replaces the sums of rows that have an entry of great size once it is scaled, or NaN.

    Args:
        step: arrays `offset`, `scale` float32 [F] scale a row; attribute `largest`: what the NPU
            is given at most. `kernel` LINEAR, POLY or SIGMOID: arrays `vectors` [S, F], `weights`
            [D, S] and `offsets` [D], attributes `gamma`, `coef0`, `degree`; without `vectors` the
            weights are [D, F]. LAYERS, of a perceptron: arrays `weights_0`, `offsets_0` and so on
            of inner layers, attributes `layers`, their number, and `activation`. RBF: a row with
            NaN has sums of NaN, and others stay, unless an attribute `reach` is the largest
            squared length of a scaled row that does; then there are `vectors` and so on.
        sums: float32 [N, D], as the NPU has them.
        rows: float [N, F].

    Returns:
        float32 [N, D].
    """
    kernel = step.attributes["kernel"]
    if kernel == "RBF" and "reach" not in step.attributes:
        unknown = np.isnan(rows).any(axis=1, keepdims=True)
        return np.where(unknown, np.float32(np.nan), sums).astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = (rows - step.arrays["offset"]) * step.arrays["scale"]
        near = (np.abs(scaled) <= step.attributes["largest"]).all(axis=1)
        if kernel == "RBF":
            near &= (scaled * scaled).sum(axis=1) <= step.attributes["reach"]
        far = np.logical_not(near)
        sums = np.array(sums, np.float32)
        if far.any():
            sums[far] = _sums(step, kernel, rows[far].astype(np.float64)).astype(np.float32)
    return sums


def _sums(step: Step, kernel: str, rows: Array) -> Array:
    options, values = step.attributes, rows
    if kernel == "RBF":
        values = _rbf(step, rows)
    elif "vectors" in step.arrays:
        values = rows @ step.arrays["vectors"].astype(np.float64).T
    for number in range(options.get("layers", 0)):
        weights = step.arrays[f"weights_{number}"].astype(np.float64)
        values = values @ weights.T + step.arrays[f"offsets_{number}"]
        values = _ACTIVATIONS[options["activation"]](values)
    if kernel in ("POLY", "SIGMOID"):
        values = options["gamma"] * values + options["coef0"]
        values = np.tanh(values) if kernel == "SIGMOID" else values ** options["degree"]
    return np.asarray(values @ step.arrays["weights"].astype(np.float64).T + step.arrays["offsets"])


def _rbf(step: Step, rows: Array) -> Array:
    """Kernels [N, S] of rows, 0 where one is infinite."""
    offset, scale = step.arrays["offset"].astype(np.float64), np.sqrt(step.attributes["gamma"])
    x = np.clip((rows - offset) * scale, -LARGEST, LARGEST)
    vectors = (step.arrays["vectors"] - offset) * scale
    squares = (x * x).sum(axis=1)[:, None] + (vectors * vectors).sum(axis=1)
    return np.asarray(np.exp(2 * (x @ vectors.T) - squares))
