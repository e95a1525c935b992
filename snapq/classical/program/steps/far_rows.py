"""Rows whose numbers are beyond what the NPU holds: the host computes their sums itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..registry import operation
from ..step import Array, Step

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
            NaN has sums of NaN, and others stay.
        sums: float32 [N, D], as the NPU has them.
        rows: float [N, F].

    Returns:
        float32 [N, D].
    """
    kernel = step.attributes["kernel"]
    if kernel == "RBF":
        unknown = np.isnan(rows).any(axis=1, keepdims=True)
        return np.where(unknown, np.float32(np.nan), sums).astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = (rows - step.arrays["offset"]) * step.arrays["scale"]
        far = np.logical_not((np.abs(scaled) <= step.attributes["largest"]).all(axis=1))
        sums = np.array(sums, np.float32)
        if far.any():
            sums[far] = _sums(step, kernel, rows[far].astype(np.float64)).astype(np.float32)
    return sums


def _sums(step: Step, kernel: str, rows: Array) -> Array:
    options, values = step.attributes, rows
    if "vectors" in step.arrays:
        values = rows @ step.arrays["vectors"].astype(np.float64).T
    for number in range(options.get("layers", 0)):
        weights = step.arrays[f"weights_{number}"].astype(np.float64)
        values = values @ weights.T + step.arrays[f"offsets_{number}"]
        values = _ACTIVATIONS[options["activation"]](values)
    if kernel in ("POLY", "SIGMOID"):
        values = options["gamma"] * values + options["coef0"]
        values = np.tanh(values) if kernel == "SIGMOID" else values ** options["degree"]
    return np.asarray(values @ step.arrays["weights"].astype(np.float64).T + step.arrays["offsets"])
