"""SVMs and linear models for a CPU: as Gemm and Exp, Mul or Tanh in float32.

ONNX Runtime's own SVM operators compute one distance after the other; a matrix product and a
vectorized Exp take a ninth to a fiftieth of that time. Of POLY and SIGMOID the operator computes
the product of rows and vectors too, which is most of what there is.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from snapq.classical.ensemble import Ensemble
from snapq.classical.estimator import Estimator
from snapq.classical.linear import Linear
from snapq.classical.perceptron import Perceptron
from snapq.classical.program import Step
from snapq.classical.svm import SupportVectors

_LARGEST = 1e15
"""Of a centred and scaled entry of a row: its square is a float32; no RBF kernel is above 0 there.
"""
_LARGEST_ENTRY = 1e18
"""Of a centred one, whose square is a float32."""
_LARGEST_RATIO = 1e8
"""Of the scales of two features that are in the weights: beyond, a bound of the one cuts off the
other."""
_LARGEST_OFFSET = 16.0
"""Of a Scaler, in units of what it divides by."""
_LARGEST_LENGTH = 30.0
"""Of a support vector, squared, whose exp(-|v|^2) is in the weights of the second product."""

Items = list[Step | Estimator]


def for_cpu(items: Sequence[Step | Estimator], outputs: Collection[str]) -> Items:
    """The items of a model with SVMs, linear models and Scalers as plain steps; trees stay.

    Args:
        items: in the order in which they run.
        outputs: of the model.
    """
    scalers = {item.outputs[0]: item for item in items if _is_scaler(item)}
    found: Items = []
    for item in items:
        if isinstance(item, Estimator):
            found += _estimator(item, scalers.get(item.rows))
        else:
            found += _plain_scaler(item) if _is_scaler(item) else [item]
    return _read(found, outputs)


def _read(items: Items, outputs: Collection[str]) -> Items:
    """The items whose results are read: what estimators took in of a Scaler is not."""
    read, kept = set(outputs), []
    for item in reversed(items):
        if isinstance(item, Estimator) or read.intersection(item.outputs):
            read.update((item.rows,) if isinstance(item, Estimator) else item.inputs)
            kept.append(item)
    return kept[::-1]


def _estimator(estimator: Estimator, scaler: Step | None) -> Items:
    """The sums in float32; what a Scaler multiplies the rows with is taken into the weights."""
    form, steps = estimator.form, _Steps(estimator)
    if isinstance(form, Ensemble):
        return [estimator]
    if isinstance(form, Perceptron):
        return _perceptron(steps, form, scaler)
    vectors, coefficients = np.zeros((0, form.features)), np.zeros((form.targets, 0))
    if isinstance(form, SupportVectors):
        vectors = form.vectors.astype(np.float64)
        coefficients = form.coefficients.astype(np.float64)
    if isinstance(form, SupportVectors) and form.kernel == "RBF":
        return _rbf(steps, form, scaler)
    if isinstance(form, Linear):
        return steps.scaled(scaler, form.weights.astype(np.float64), form.offsets, last=True)
    if form.kernel == "LINEAR":
        return steps.scaled(scaler, coefficients @ vectors, form.offsets, last=True)
    steps.scaled(scaler, form.gamma * vectors, np.full(len(vectors), form.coef0))
    value = steps.op("Tanh", steps.value) if form.kernel == "SIGMOID" else _power(steps, form)
    return steps.product(value, coefficients, form.offsets, last=True)


def _perceptron(steps: _Steps, form: Perceptron, scaler: Step | None) -> Items:
    first, *inner, last = form.layers
    steps.scaled(scaler, first.weights.astype(np.float64), first.offsets)
    for layer in inner:
        steps.product(steps.op(form.activation, steps.value), layer.weights, layer.offsets)
    value = steps.op(form.activation, steps.value)
    return steps.product(value, last.weights, last.offsets, last=True)


def _is_scaler(item: Step | Estimator) -> TypeGuard[Step]:
    return isinstance(item, Step) and item.op == "Scaler"


def _plain_scaler(step: Step) -> Items:
    """(x - offset) scale as ONNX's own operators, which take a fifth of the Scaler's time."""
    made, centred = step.outputs[0], _centred(step)
    offset, scale = (f"{made}.{name}" for name in ("offset", "scale"))
    return [
        Step("Constant", (), (offset,), {}, {"value": step.arrays["offset"]}),
        Step("Constant", (), (scale,), {}, {"value": step.arrays["scale"]}),
        Step("Sub", (step.inputs[0], offset), (centred,)),
        Step("Mul", (centred, scale), (made,)),
    ]


def _centred(scaler: Step) -> str:
    """The name of the difference of a Scaler."""
    return f"{scaler.outputs[0]}.centred"


def _rbf(steps: _Steps, form: SupportVectors, scaler: Step | None) -> Items:
    """exp(-|x' - v|^2) of rows and vectors that are centred, by products of x - c, (x - c)^2.

    The scales are in the weights. Where lengths |v|^2 are small, the bias of the first product is
    -|x'|^2, and exp(-|v|^2) is in the weights of the second.
    """
    vectors = form.vectors.astype(np.float64)
    coefficients = form.coefficients.astype(np.float64)
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
    sizes = np.abs(factors)
    if sizes.max(initial=0.0) > _LARGEST_RATIO * sizes.min(initial=np.inf):
        x, factors = steps.op("Mul", x, steps.constant(factors)), np.ones(form.features)
    bound = min(_LARGEST / max(np.abs(factors).max(initial=0.0), 1e-30), _LARGEST_ENTRY)
    x = steps.op("Clip", x, steps.constant(-bound), steps.constant(bound))
    squares = steps.op("Gemm", steps.op("Mul", x, x), steps.constant(-(factors**2)[:, None]))
    lengths = (scaled * scaled).sum(axis=1)
    weights = 2 * scaled * factors
    if lengths.max(initial=0.0) <= _LARGEST_LENGTH:
        steps.op("Gemm", x, steps.constant(np.ascontiguousarray(weights.T)), squares)
        coefficients = coefficients * np.exp(-lengths)
    else:
        columns = steps.op("Concat", x, squares, axis=1)
        weights = np.concatenate([weights, np.ones((len(vectors), 1))], axis=1)
        steps.product(columns, weights, -lengths)
    value = steps.op("Exp", steps.value)
    return steps.product(value, coefficients, form.offsets, last=True)


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

    def scaled(
        self,
        scaler: Step | None,
        weights: NDArray[np.float64],
        bias: NDArray[Any],
        *,
        last: bool = False,
    ) -> Items:
        """Adds a Gemm of the rows, or of what a Scaler makes the rows of.

        Its factors are in the weights, and its offsets in the bias where they are not so much
        larger than what varies that their difference would lose more than four bits.
        """
        if scaler is None:
            return self.product(self.rows, weights, bias, last=last)
        offset, scale = (scaler.arrays[name].astype(np.float64) for name in ("offset", "scale"))
        weights = weights * scale
        if np.abs(offset * scale).max(initial=0.0) > _LARGEST_OFFSET:
            return self.product(_centred(scaler), weights, bias, last=last)
        shift = (weights * offset).sum(axis=1)
        return self.product(scaler.inputs[0], weights, bias - shift, last=last)

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
