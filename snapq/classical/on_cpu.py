"""SVMs and linear models for a CPU: as Gemm and Exp, Mul or Tanh in float32.

ONNX Runtime's own SVM operators compute one distance after the other; a matrix product and a
vectorized Exp take a fifth to a fiftieth of that time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from snapq.classical.ensemble import Ensemble
from snapq.classical.estimator import Estimator
from snapq.classical.linear import Linear
from snapq.classical.program import Step
from snapq.classical.svm import SupportVectors

_LARGEST = 1e15
"""Of a centred entry of a row: its square is a float32, and no RBF kernel is above 0 there."""

Items = list[Step | Estimator]


def for_cpu(items: Sequence[Step | Estimator]) -> Items:
    """The items of a model with SVMs, linear models and Scalers as plain steps; trees stay."""
    scalers = {item.outputs[0]: item for item in items if _is_scaler(item)}
    found: Items = []
    for item in items:
        if isinstance(item, Estimator):
            found += _estimator(item, scalers.get(item.rows))
        else:
            found += _plain_scaler(item) if _is_scaler(item) else [item]
    return found


def _estimator(estimator: Estimator, scaler: Step | None) -> Items:
    """The sums in float32; a Scaler that makes the rows is taken in by an RBF kernel."""
    form, steps = estimator.form, _Steps(estimator)
    if isinstance(form, Ensemble):
        return [estimator]
    if isinstance(form, Linear):
        return steps.product(estimator.rows, form.weights, form.offsets, last=True)
    vectors = form.vectors.astype(np.float64)
    coefficients = form.coefficients.astype(np.float64)
    if form.kernel == "LINEAR":
        return steps.product(estimator.rows, coefficients @ vectors, form.offsets, last=True)
    if form.kernel == "RBF":
        value = _rbf(steps, form, vectors, scaler)
    else:
        bias = np.full(len(vectors), form.coef0)
        steps.product(estimator.rows, form.gamma * vectors, bias)
        value = steps.op("Tanh", steps.value) if form.kernel == "SIGMOID" else _power(steps, form)
    return steps.product(value, coefficients, form.offsets, last=True)


def _is_scaler(item: Step | Estimator) -> TypeGuard[Step]:
    return isinstance(item, Step) and item.op == "Scaler"


def _plain_scaler(step: Step) -> Items:
    """(x - offset) scale as ONNX's own operators, which take a fifth of the Scaler's time."""
    made = step.outputs[0]
    offset, scale, centred = (f"{made}.{name}" for name in ("offset", "scale", "centred"))
    return [
        Step("Constant", (), (offset,), {}, {"value": step.arrays["offset"]}),
        Step("Constant", (), (scale,), {}, {"value": step.arrays["scale"]}),
        Step("Sub", (step.inputs[0], offset), (centred,)),
        Step("Mul", (centred, scale), (made,)),
    ]


def _rbf(
    steps: _Steps, form: SupportVectors, vectors: NDArray[np.float64], scaler: Step | None
) -> str:
    """exp(-|x' - v|^2) of rows and vectors that are centred and scaled; |x'|^2 is a column."""
    centre, scale = vectors.mean(axis=0), np.full(form.features, np.sqrt(form.gamma))
    rows = steps.rows
    if scaler is not None and (scaler.arrays["scale"] != 0).all():
        # ((x - o) s - c) k = (x - (o + c / s)) (s k)
        offset, factor = (scaler.arrays[name].astype(np.float64) for name in ("offset", "scale"))
        taken, factors = (offset + centre / factor).astype(np.float32), factor * scale
        centre, rows = (taken - offset) * factor, scaler.inputs[0]
    else:
        taken, factors = centre.astype(np.float32), scale
        centre = taken.astype(np.float64)
    scaled = (vectors - centre) * scale
    x = steps.op("Sub", rows, steps.constant(taken))
    x = steps.op("Mul", x, steps.constant(factors))
    x = steps.op("Clip", x, steps.constant(-_LARGEST), steps.constant(_LARGEST))
    axes = steps.constant(np.array([1]))
    squares = steps.op("ReduceSum", steps.op("Mul", x, x), axes, keepdims=1)
    columns = steps.op("Concat", x, squares, axis=1)
    weights = np.concatenate([2 * scaled, -np.ones((len(vectors), 1))], axis=1)
    steps.product(columns, weights, -(scaled * scaled).sum(axis=1))
    return steps.op("Exp", steps.value)


def _power(steps: _Steps, form: SupportVectors) -> str:
    """The power of degree 2 to 4 as products, others by Pow."""
    value, degree = steps.value, form.degree
    if degree == 1:
        return value
    if degree not in (2, 3, 4):
        return steps.op("Pow", value, steps.constant(degree))
    square = steps.op("Mul", value, value)
    if degree == 2:
        return square
    return steps.op("Mul", square, value if degree == 3 else square)


class _Steps:
    """Collects steps in float32; the last one makes the estimator's sums."""

    def __init__(self, estimator: Estimator) -> None:
        self.rows = estimator.rows
        self.value = ""
        self._sums = estimator.sums
        self._steps: Items = []

    def op(self, op: str, *inputs: str, **attributes: int) -> str:
        self.value = f"{self._sums}.{len(self._steps)}"
        self._steps.append(Step(op, inputs, (self.value,), dict(attributes)))
        return self.value

    def constant(self, value: NDArray[Any] | float) -> str:
        name = f"{self._sums}.{len(self._steps)}"
        array = np.asarray(value)
        narrow = array.astype(np.float32) if array.dtype.kind == "f" else array
        self._steps.append(Step("Constant", (), (name,), {}, {"value": narrow}))
        return name

    def product(
        self, value: str, weights: NDArray[Any], bias: NDArray[Any], *, last: bool = False
    ) -> Items:
        """Adds a Gemm with weights [outputs, inputs]; returns all steps so far."""
        inputs = (value, self.constant(np.ascontiguousarray(weights.T)), self.constant(bias))
        made = self.op("Gemm", *inputs)
        if last:
            self._steps[-1] = Step("Gemm", inputs, (self._sums,))
            self.value = made
        return self._steps
