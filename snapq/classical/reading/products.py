"""A linear model that a converter wrote as a product and a sum, as skl2onnx does for SGD.

In a model without another estimator, the only product of a float32 matrix and constant weights
(MatMul or Gemm, with the constant Add or Sub behind it) becomes a `Linear`. Where there are several
one behind the other, with the same activation between them, they become a `Perceptron`; others are
a network. Where there is another estimator, a product prepares its features.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import numpy as np

from snapq.classical.estimator import Estimator
from snapq.classical.linear import Linear
from snapq.classical.perceptron import Activation, Dense, Perceptron
from snapq.classical.program.step import Array, Step
from snapq.classical.reading.reader import Reader
from snapq.graph.classical import ACTIVATIONS

_FLOAT32 = 1


def read_product(reader: Reader) -> None:
    """Puts a linear model or a perceptron in the place of products, where these are one."""
    if any(isinstance(item, Estimator) for item in reader.items):
        return
    steps = [item for item in reader.items if isinstance(item, Step)]
    fixed = {step.outputs[0]: step.arrays["value"] for step in steps if step.op == "Constant"}
    found = [
        _layer(step, steps, reader, fixed) for step in steps if _is_product(step, reader, fixed)
    ]
    layers = [layer for layer in found if layer is not None]
    if not layers or len(layers) < len(found):
        return
    between = [_between(*pair, steps, reader) for pair in pairwise(layers)]
    if None in between or len({step.op for step in between if step is not None}) > 1:
        return
    first, last = layers[0], layers[-1]
    name, rows = last.last.outputs[0], first.product.inputs[0]
    features = reader.samples[rows].shape[1]
    form: Linear | Perceptron = Linear(name, features, last.weights, last.offsets)
    if between and between[0] is not None:
        dense = tuple(Dense(layer.weights, layer.offsets) for layer in layers)
        form = Perceptron(name, features, cast(Activation, between[0].op), dense)
    taken = {id(step) for layer in layers for step in (layer.product, layer.last)}
    taken |= {id(step) for step in between}
    at = reader.items.index(last.last)
    behind = reader.items[at + 1 :]
    reader.items = [item for item in reader.items[:at] if id(item) not in taken]
    flat = reader.samples[name].ndim == 1
    sums = reader.estimate(form, rows)
    if flat:
        narrow = reader.add("Cast", sums, attributes={"to": _FLOAT32})
        shape = reader.constant(np.array([-1], np.int64))
        reader.items.append(Step("Reshape", (narrow, shape), (name,)))
    else:
        reader.items.append(Step("Cast", (sums,), (name,), {"to": _FLOAT32}))
    reader.items += behind


@dataclass(frozen=True)
class _Layer:
    """A product, the step that adds its offsets (or itself), and both constants."""

    product: Step
    last: Step
    weights: Array
    offsets: Array


def _layer(
    product: Step, steps: list[Step], reader: Reader, fixed: dict[str, Array]
) -> _Layer | None:
    weights, offsets = _weights(product, fixed)
    last, added = product, _constant_add(product, steps, reader, fixed)
    if added is not None:
        last, offsets = added[0], offsets + added[1]
    columns = reader.samples[product.inputs[0]].shape[1]
    finite = np.isfinite(weights).all() and np.isfinite(offsets).all()
    if weights.shape != (len(offsets), columns) or not finite:
        return None
    return _Layer(product, last, weights, offsets)


def _between(before: _Layer, behind: _Layer, steps: list[Step], reader: Reader) -> Step | None:
    """The activation that alone reads one layer and is read by the next one alone."""
    name = before.last.outputs[0]
    readers = [step for step in steps if name in step.inputs]
    if len(readers) != 1 or name in reader.outputs or readers[0].op not in ACTIVATIONS:
        return None
    (step,) = readers
    made = step.outputs[0]
    readers = [one for one in steps if made in one.inputs]
    alone = readers == [behind.product] and made not in reader.outputs
    return step if alone and behind.product.inputs[0] == made else None


def _is_product(step: Step, reader: Reader, fixed: dict[str, Array]) -> bool:
    if step.op not in ("MatMul", "Gemm") or step.attributes.get("transA"):
        return False
    rows, *others = step.inputs
    return (
        rows not in fixed
        and reader.samples[rows].dtype == np.float32
        and reader.samples[rows].ndim == 2
        and all(name in fixed for name in others if name)
        and fixed[others[0]].ndim in (1, 2)
    )


def _weights(step: Step, fixed: dict[str, Array]) -> tuple[Array, Array]:
    """Weights float32 [targets, F] and offsets float32 [targets]."""
    options = step.attributes if step.op == "Gemm" else {}
    given = fixed[step.inputs[1]]
    matrix = given[:, None] if given.ndim == 1 else given
    weights = matrix if options.get("transB") else matrix.T
    weights = np.asarray(weights * np.float32(options.get("alpha", 1.0)), np.float32)
    offsets = np.zeros(len(weights), np.float32)
    if len(step.inputs) > 2 and step.inputs[2]:
        added = fixed[step.inputs[2]] * np.float32(options.get("beta", 1.0))
        if added.size in (1, len(weights)):
            return weights, np.asarray(offsets + added.reshape(-1), np.float32)
        return weights, np.zeros(0, np.float32)  # other numbers for each row
    return weights, offsets


def _constant_add(
    product: Step, steps: list[Step], reader: Reader, fixed: dict[str, Array]
) -> tuple[Step, Array] | None:
    """The Add or Sub of constants that alone reads a product, and what it adds to each target."""
    made = product.outputs[0]
    readers = [step for step in steps if made in step.inputs]
    if made in reader.outputs or len(readers) != 1:
        return None
    step = readers[0]
    other = next((name for name in step.inputs if name != made), None)
    if other not in fixed or not (
        step.op == "Add" or (step.op == "Sub" and step.inputs[1] == other)
    ):
        return None
    width = 1 if reader.samples[made].ndim == 1 else reader.samples[made].shape[1]
    added = fixed[other]
    if added.dtype != np.float32 or added.size not in (1, width):
        return None
    if reader.samples[step.outputs[0]].shape != reader.samples[made].shape:
        return None
    return step, np.broadcast_to(added.reshape(-1) * (-1 if step.op == "Sub" else 1), (width,))
