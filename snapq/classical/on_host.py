"""An estimator as steps of the host: what stays on the CPU."""

from __future__ import annotations

import numpy as np

from snapq.classical.ensemble import Ensemble
from snapq.classical.estimator import Estimator
from snapq.classical.perceptron import Perceptron
from snapq.classical.program import Array, Step
from snapq.classical.svm import SupportVectors

_FLOAT64 = 11


def estimator_steps(estimator: Estimator) -> list[Step]:
    """The steps that compute the sums float64 [N, targets] of an estimator."""
    form = estimator.form
    if isinstance(form, Ensemble):
        leaves = f"{estimator.sums}.leaves"
        return [
            Step("tree_leaves", (estimator.rows,), (leaves,), arrays=form.arrays),
            Step(
                "tree_sums",
                (leaves,),
                (estimator.sums,),
                {"aggregate": "sum"},
                {"values": form.values},
            ),
        ]
    steps = _Steps(estimator.sums)
    rows = steps.add("Cast", estimator.rows, to=_FLOAT64)
    if isinstance(form, Perceptron):
        for layer in form.layers[:-1]:
            product = steps.add("MatMul", rows, steps.constant(layer.weights.T))
            moved = steps.add("Add", product, steps.constant(layer.offsets[None]))
            rows = steps.add(form.activation, moved)
        weights, offsets = form.layers[-1].weights, form.layers[-1].offsets
    elif isinstance(form, SupportVectors):
        rows = _kernel(steps, form, rows)
        weights, offsets = form.coefficients, form.offsets
    else:
        weights, offsets = form.weights, form.offsets
    product = steps.add("MatMul", rows, steps.constant(weights.T))
    steps.add("Add", product, steps.constant(offsets[None]), output=estimator.sums)
    return steps.steps


def _kernel(steps: _Steps, form: SupportVectors, rows: str) -> str:
    """The kernel [N, S] of rows and support vectors."""
    vectors = form.vectors.astype(np.float64)
    if form.kernel == "RBF":
        return _distances(steps, vectors, form.gamma, rows)
    product = steps.add("MatMul", rows, steps.constant(vectors.T))
    if form.kernel == "LINEAR":
        return product
    scaled = steps.add("Mul", product, steps.constant(form.gamma))
    moved = steps.add("Add", scaled, steps.constant(form.coef0))
    if form.kernel == "SIGMOID":
        return steps.add("Tanh", moved)
    return steps.add("Pow", moved, steps.constant(form.degree))


def _distances(steps: _Steps, vectors: Array, gamma: float, rows: str) -> str:
    """exp(-gamma |x - v|^2), by |x|^2 + |v|^2 - 2 x v: exact enough once centred and scaled."""
    centre, scale = vectors.mean(0), np.sqrt(gamma)
    vectors = (vectors - centre) * scale
    rows = steps.add("Sub", rows, steps.constant(centre[None]))
    rows = steps.add("Mul", rows, steps.constant(scale))
    axes = steps.constant(np.array([1], np.int64))
    own = steps.add("ReduceSum", steps.add("Mul", rows, rows), axes, keepdims=1)
    twice = steps.add("MatMul", rows, steps.constant(2 * vectors.T))
    given = steps.add("Add", own, steps.constant((vectors * vectors).sum(1)[None]))
    near = steps.add("Sub", twice, given)
    # A row with an infinity is infinitely far, where inf - inf would be no number.
    return steps.add(
        "Exp", steps.add("Where", steps.add("IsInf", own), steps.add("Neg", own), near)
    )


class _Steps:
    """Collects steps whose values have names of their own."""

    def __init__(self, name: str) -> None:
        self.steps: list[Step] = []
        self._name = name

    def add(self, op: str, *inputs: str, output: str | None = None, **attributes: int) -> str:
        name = output or f"{self._name}.{len(self.steps)}"
        self.steps.append(Step(op, inputs, (name,), dict(attributes)))
        return name

    def constant(self, value: Array | float) -> str:
        name = f"{self._name}.{len(self.steps)}"
        array = np.asarray(value)
        if array.dtype.kind == "f":
            array = array.astype(np.float64)
        self.steps.append(Step("Constant", (), (name,), {}, {"value": array}))
        return name
