"""Comparisons, truth values, choices, and conversions between types."""

from __future__ import annotations

import numpy as np

from ..registry import operation
from ..step import Array, Step

TYPES = {
    1: np.float32,
    2: np.uint8,
    3: np.int8,
    4: np.uint16,
    5: np.int16,
    6: np.int32,
    7: np.int64,
    9: np.bool_,
    10: np.float16,
    11: np.float64,
    12: np.uint32,
    13: np.uint64,
}
"""Element types by their number in ONNX."""

_COMPARISONS = {
    "And": np.logical_and,
    "Equal": np.equal,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "Or": np.logical_or,
    "Xor": np.logical_xor,
}


@operation(*_COMPARISONS)
def compare(step: Step, a: Array, b: Array) -> Array:
    """Compares two inputs; NaN equals nothing."""
    return np.asarray(_COMPARISONS[step.op](a, b))


@operation("Not")
def invert(_: Step, x: Array) -> Array:
    """Turns a truth value round."""
    return np.logical_not(x)


@operation("IsNaN")
def is_nan(_: Step, x: Array) -> Array:
    """Tells which values are NaN."""
    return np.isnan(x)


@operation("IsInf")
def is_inf(step: Step, x: Array) -> Array:
    """Tells which values are infinite, of the signs asked for."""
    above = (x == np.inf) & bool(step.attributes.get("detect_positive", 1))
    below = (x == -np.inf) & bool(step.attributes.get("detect_negative", 1))
    return np.asarray(above | below)


@operation("Where")
def where(_: Step, condition: Array, a: Array, b: Array) -> Array:
    """Takes the first value where the condition holds, else the second."""
    return np.where(condition, a, b)


@operation("Cast")
def cast(step: Step, x: Array) -> Array:
    """Converts to another type: floats to integers towards zero, to the nearest float."""
    return x.astype(TYPES[step.attributes["to"]])


@operation("Identity")
def identity(_: Step, x: Array) -> Array:
    """Gives what it gets."""
    return x


@operation("Constant")
def constant(step: Step) -> Array:
    """Gives the array `value`."""
    return step.arrays["value"]


@operation("round_to_float32")
def round_to_float32(step: Step, x: Array) -> Array:
    """Converts float64 to float32 so that comparisons with float32 thresholds keep their answer.

    Attribute `up`: to the next float32 above (keeps x <= t), else to the next below (keeps x < t).
    """
    nearest = x.astype(np.float32)
    if step.attributes["up"]:
        return np.where(nearest < x, np.nextafter(nearest, np.float32(np.inf)), nearest)
    return np.where(nearest > x, np.nextafter(nearest, np.float32(-np.inf)), nearest)
