"""SVMs and linear models for the NPU: a float model, and the host's steps around it."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snapq.classical.ensemble import Ensemble
from snapq.classical.linear import Linear
from snapq.classical.lowered import Lowered
from snapq.classical.lowering.graph import npu_model
from snapq.classical.lowering.halves import SHARE, in_halves
from snapq.classical.lowering.layers import Layers, Lowerable, layers, seen_rows
from snapq.classical.model import Estimator
from snapq.classical.perceptron import Perceptron
from snapq.classical.program import Step
from snapq.classical.svm import SupportVectors

_FLOAT, _FLOAT16 = 1, 10
"""Element types in ONNX, for Cast."""

_CALIBRATION_ROWS = 256
"""Support vectors that calibration sees at most, and rows that are made of them."""
_OF_A_SIDE = 8
_STEPS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0)
"""How far calibration looks into a class, in distances between the middles of both."""
_LINEAR_STEPS = (0.0, 1.0, 2.0, 4.0, 8.0)
_EDGE = 2.4
"""Distance from every vector at which an RBF kernel is below one step of 8 bits, exp(-2.4^2)."""


def lower(
    estimator: Estimator, batch: int, rows: NDArray[Any] | None = None, *, halves: bool = False
) -> Lowered:
    """Makes a float model of an SVM or a linear model.

    It runs in 16-bit floating point as it is, or is quantized: what it is given are numbers near 1.

    Args:
        estimator: its form is `SupportVectors` or `Linear`.
        batch: rows of one inference.
        rows: float [N, F], rows as the estimator is given them; they say how large features and
            sums are where the model itself does not.
        halves: whether it is quantized to weights of 8 bits and activations of 16: the weights are
            written as two of 8 bits each.

    Raises:
        ModelError: a kernel that the NPU cannot compute, or numbers that 32 bits do not hold.
    """
    form = estimator.form
    assert not isinstance(form, Ensemble)
    name = re.sub(r"\W+", "_", estimator.sums)
    given, made = f"npu_{name}_rows", f"npu_{name}_sums"
    part = layers(form, rows)
    if halves:
        part = in_halves(part, seen_rows(form, rows))
    return Lowered(
        model=npu_model(given, made, part, batch),
        inputs=(given,),
        outputs=(made,),
        encode=tuple(_encode(estimator, part, given)),
        decode=tuple(_decode(estimator, part, made)),
        exact=False,
        note=_note(form),
    )


def calibration_rows(form: Lowerable) -> NDArray[np.float32]:
    """Rows that a model brings itself, for calibration beside rows of the user's.

    Support vectors are rows that it was trained on, and those on which decisions depend. They lie
    at the border of two classes, most with decisions between -1 and 1, so rows from deep within
    each class stand beside them. Of an RBF kernel one more row is so far from all of them that
    every kernel is next to 0. Activations of 16 bits have room for the ranges of all (20 dB more
    for a detector of outliers, 30 dB for two classes); those of 8 bits do not: give them the user's
    rows only.

    Returns:
        float32 [N, F]; N is 0 for a linear model and for a perceptron.
    """
    if not isinstance(form, SupportVectors):
        return np.zeros((0, form.features), np.float32)
    chosen = _some(form.vectors)
    if not len(chosen):
        return chosen
    deep = _some(_within_classes(form))
    # In turns, so that whatever is held out to judge a calibration has rows of both.
    turns = np.arange(max(len(chosen), len(deep)))
    pairs = np.stack([chosen[turns % len(chosen)], deep[turns % len(deep)]], axis=1)
    chosen = pairs.reshape(-1, form.features)
    if form.kernel != "RBF":
        return chosen
    part = layers(form)
    scaled = (form.vectors - part.offset) * part.scale
    if part.flat:  # what is farther is the host's
        return np.concatenate([chosen, _at_reach(part)])
    distance = float(np.sqrt((scaled * scaled).sum(axis=1).max())) + _EDGE
    edge = part.offset + distance / np.sqrt(form.features) / part.scale
    return np.concatenate([chosen, np.asarray(edge, np.float32)[None]])


def _at_reach(part: Layers) -> NDArray[np.float32]:
    """The farthest rows that the NPU computes, in the direction of each feature and of all."""
    features = len(part.offset)
    axes = np.eye(features)[:: -(-features // _OF_A_SIDE)]
    directions = np.concatenate([axes, np.full((1, features), 1 / np.sqrt(features))])
    far = np.concatenate([directions, -directions]) * np.sqrt(0.99 * (part.reach or 0.0))
    return np.asarray(part.offset + far / part.scale, np.float32)


def _within_classes(form: SupportVectors) -> NDArray[np.float32]:
    """Rows at which decisions are large, float32 [N, F].

    The sign of a coefficient says for which of two classes a vector speaks. Rows lie at the middle
    of such a side, between it and some of its vectors, and beyond it, away from the other side.
    """
    rows: list[NDArray[np.float64]] = []
    steps = np.array(_LINEAR_STEPS if form.kernel == "LINEAR" else _STEPS)
    for coefficients in form.coefficients.astype(np.float64):
        sides = [np.flatnonzero(coefficients > 0), np.flatnonzero(coefficients < 0)]
        middles = [
            np.average(form.vectors[side], axis=0, weights=np.abs(coefficients[side]))
            if len(side)
            else form.vectors.mean(axis=0)
            for side in sides
        ]
        for side, middle, other in zip(sides, middles, middles[::-1], strict=True):
            some = form.vectors[side[:: max(1, len(side) // _OF_A_SIDE)]]
            rows += [(some + middle) / 2, middle + steps[:, None] * (middle - other)]
    return np.concatenate(rows).astype(np.float32)


def _some(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Some of the rows, evenly spaced."""
    return rows[:: -(-len(rows) // _CALIBRATION_ROWS) or 1]


def _encode(estimator: Estimator, part: Layers, made: str) -> list[Step]:
    """(x - offset) scale; of RBF with |x'|^2 behind it, and 0 for a row that is out of reach."""
    steps = _Steps(made)
    centred = steps.op("Sub", estimator.rows, steps.constant("offset", part.offset))
    scaled = steps.op("Mul", centred, steps.constant("scale", part.scale))
    if part.reach is None:
        low, high = (
            steps.constant(name, np.float32(sign * part.largest_entry))
            for name, sign in (("lowest", -1), ("highest", 1))
        )
        if not part.halves:
            steps.op("Clip", scaled, low, high, made=made)
            return steps.made
        return _together(steps, part, [steps.op("Clip", scaled, low, high)], made)
    if part.flat:
        # With lengths of what 16 bits hold of a row, all distances are those of a row beside it.
        scaled = steps.op("Cast", steps.op("Cast", scaled, to=_FLOAT16), to=_FLOAT)
    axes = steps.constant("axes", np.array([1], np.int64))
    squares = steps.op("ReduceSum", steps.op("Mul", scaled, scaled), axes, keepdims=1)
    reach = steps.constant("reach", np.float32(part.reach))
    near = steps.op("LessOrEqual", squares, reach)
    kept = steps.op("Where", near, scaled, steps.constant("zero", np.float32(0)))
    length = steps.op("Where", near, squares, reach)
    first = steps.op("Cast", steps.op("Cast", length, to=_FLOAT16), to=_FLOAT)
    rest = steps.op("Sub", length, first)
    return _together(steps, part, [kept, first, rest], made)


def _together(steps: _Steps, part: Layers, columns: list[str], made: str) -> list[Step]:
    """Columns beside each other, and once more where weights have a lower half."""
    if part.halves:
        share = steps.constant("share", np.float32(1 / SHARE))
        columns = columns + [steps.op("Mul", one, share) for one in columns]
    steps.op("Concat", *columns, axis=1, made=made)
    return steps.made


def _decode(estimator: Estimator, part: Layers, given: str) -> list[Step]:
    """Scales and moves y; NaN where a feature is; what the NPU does not hold, by the host."""
    steps = _Steps(given)
    scaled = steps.op("Mul", given, steps.constant("sum_scale", part.sum_scale))
    targets = estimator.form.targets
    if len(part.second) > targets:
        halves = steps.constant("halves", np.array([-1, 2, targets]))
        axis = steps.constant("axis", np.array([1]))
        scaled = steps.op("ReduceSum", steps.op("Reshape", scaled, halves), axis, keepdims=0)
    sums = steps.op("Add", scaled, steps.constant("sum_offset", part.sum_offset))
    arrays = {"offset": part.offset, "scale": part.scale}
    form = estimator.form
    attributes: dict[str, Any] = {"kernel": "LINEAR", "largest": part.largest_entry}
    if isinstance(form, SupportVectors):
        attributes |= {"kernel": form.kernel, "gamma": form.gamma}
        attributes |= {"coef0": form.coef0, "degree": form.degree}
    if part.flat:
        # The head measures rows that are rounded to 16 bits.
        attributes["reach"] = (part.reach or 0.0) * (1 - 2.0**-9)
    if (part.reach is None or part.flat) and isinstance(form, SupportVectors):
        arrays |= {"vectors": form.vectors, "weights": form.coefficients, "offsets": form.offsets}
    elif isinstance(form, Linear):
        arrays |= {"weights": form.weights, "offsets": form.offsets}
    elif isinstance(form, Perceptron):
        *hidden, last = form.layers
        attributes |= {"kernel": "LAYERS", "activation": form.activation, "layers": len(hidden)}
        arrays |= {"weights": last.weights, "offsets": last.offsets}
        for number, layer in enumerate(hidden):
            arrays |= {f"weights_{number}": layer.weights, f"offsets_{number}": layer.offsets}
    inputs = (sums, estimator.rows)
    return [
        *steps.made,
        Step("sums_of_far_rows", inputs, (estimator.sums,), attributes, arrays),
    ]


class _Steps:
    """Steps with names of values that begin alike."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.made: list[Step] = []

    def constant(self, name: str, value: NDArray[Any] | np.generic) -> str:
        """Adds a constant; returns its name."""
        made = f"{self._prefix}.{name}"
        self.made.append(Step("Constant", (), (made,), {}, {"value": np.asarray(value)}))
        return made

    def op(self, op: str, *inputs: str, made: str | None = None, **attributes: int) -> str:
        """Adds a step; returns the name of what it makes."""
        output = made or f"{self._prefix}.{op}_{len(self.made)}"
        self.made.append(Step(op, inputs, (output,), dict(attributes)))
        return output


def _note(form: Lowerable) -> str:
    """What became of one estimator, for the reader."""
    if isinstance(form, Linear):
        many = "s" if form.targets != 1 else ""
        return f"linear model of {form.features} features and {form.targets} target{many}"
    if isinstance(form, Perceptron):
        return f"perceptron of {len(form.layers)} layers, {form.targets} values"
    if form.kernel == "LINEAR":
        return f"{len(form.vectors)} support vectors, linear kernel added up to one product"
    return f"{len(form.vectors)} support vectors, {form.kernel} kernel, as two products"
