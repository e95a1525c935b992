"""Arithmetic: one value of the output for one of each input, with NumPy's broadcasting."""

from __future__ import annotations

from functools import reduce

import numpy as np

from ..registry import operation
from ..step import Array, Step

_ONE_INPUT = {
    "Abs": np.abs,
    "Ceil": np.ceil,
    "Cos": np.cos,
    "Exp": np.exp,
    "Floor": np.floor,
    "Log": np.log,
    "Neg": np.negative,
    "Round": np.rint,
    "Sign": np.sign,
    "Sin": np.sin,
    "Sqrt": np.sqrt,
    "Tanh": np.tanh,
}
_TWO_INPUTS = {"Add": np.add, "Mul": np.multiply, "Sub": np.subtract}
_ANY_INPUTS = {"Max": np.maximum, "Min": np.minimum, "Sum": np.add}


@operation(*_ONE_INPUT)
def one_input(step: Step, x: Array) -> Array:
    """Applies a function of NumPy that has the operator's definition."""
    return np.asarray(_ONE_INPUT[step.op](x), x.dtype)


@operation(*_TWO_INPUTS)
def two_inputs(step: Step, a: Array, b: Array) -> Array:
    """Applies a function of NumPy to two inputs of one type."""
    return np.asarray(_TWO_INPUTS[step.op](a, b), a.dtype)


@operation(*_ANY_INPUTS)
def any_inputs(step: Step, *values: Array) -> Array:
    """Applies a function of NumPy from left to right over all inputs."""
    return np.asarray(reduce(_ANY_INPUTS[step.op], values), values[0].dtype)


@operation("Mean")
def mean(_: Step, *values: Array) -> Array:
    """Sums all inputs, then divides by their number."""
    return np.asarray(reduce(np.add, values) / values[0].dtype.type(len(values)))


@operation("Div")
def div(_: Step, a: Array, b: Array) -> Array:
    """Divides; integers are cut towards zero, as C++ does."""
    if a.dtype.kind == "f":
        return np.asarray(a / b, a.dtype)
    return np.asarray(np.trunc(np.true_divide(a, b)), a.dtype)


@operation("Pow")
def power(_: Step, a: Array, b: Array) -> Array:
    """Raises to a power; the type is that of the base."""
    return np.asarray(np.power(a.astype(np.float64), b), a.dtype)


@operation("Reciprocal")
def reciprocal(_: Step, x: Array) -> Array:
    """Gives 1 / x."""
    return np.asarray(x.dtype.type(1) / x)


@operation("Relu")
def relu(_: Step, x: Array) -> Array:
    """Gives 0 for what is below 0."""
    return np.asarray(np.maximum(x, x.dtype.type(0)))


@operation("Sigmoid")
def sigmoid(_: Step, x: Array) -> Array:
    """Computes 1 / (1 + exp(-x)) without overflow."""
    small = np.exp(-np.abs(x))
    one = x.dtype.type(1)
    return np.asarray(np.where(x >= 0, one / (one + small), small / (one + small)), x.dtype)


@operation("Clip")
def clip(_: Step, x: Array, low: Array | None = None, high: Array | None = None) -> Array:
    """Keeps values between two bounds; NaN stays."""
    if low is not None:
        x = np.maximum(x, low)
    return np.asarray(x if high is None else np.minimum(x, high))


@operation("MatMul")
def matmul(_: Step, a: Array, b: Array) -> Array:
    """Multiplies matrices."""
    return np.asarray(np.matmul(a, b))


@operation("Gemm")
def gemm(step: Step, a: Array, b: Array, c: Array | None = None) -> Array:
    """Computes alpha A B + beta C, A and B transposed where asked."""
    options = step.attributes
    a = a.T if options.get("transA") else a
    b = b.T if options.get("transB") else b
    product = a.dtype.type(options.get("alpha", 1.0)) * np.matmul(a, b)
    if c is None:
        return np.asarray(product)
    return np.asarray(product + a.dtype.type(options.get("beta", 1.0)) * c)
