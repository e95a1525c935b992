"""Finds the tensors of a prepared model that encodings of the model as given belong to.

Preparing folds and fuses: a name may vanish, or stay and mean something else (a convolution that a
normalization was folded into). So tensors are matched by what they hold, on one sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.cpu import CpuModel
from snapq.quantization.calibration.calibrate import expose
from snapq.quantization.encodings import Encoding
from snapq.quantization.granularity import PerAxis, PerBlock

__all__ = ["Transferred", "transfer"]

Array = npt.NDArray[np.generic]
Feeds = Mapping[str, Array]

_CLOSE = 1e-3
"""Two tensors are the same where they differ by less than this share of their norm: folding
constants changes the last bits of a float."""


@dataclass(frozen=True)
class Transferred:
    """Encodings by name in the prepared model, and the given names that it has no tensor for."""

    encodings: dict[str, Encoding]
    lost: tuple[str, ...]


def transfer(
    encodings: Mapping[str, Encoding],
    original: tuple[ir.Model, Feeds],
    prepared: tuple[ir.Model, Feeds],
) -> Transferred:
    """Carries encodings over.

    1. An activation goes to the tensor that holds the same values: first the one of its own name,
       then any other.
    2. A weight goes to the constant of the same values, or of those values transposed, whose axis
       then is the other one; and to the constant of its name whose channels are multiples of its
       own, with scales that are multiples too, so that its integers stay what they were.

    Each of the two models comes with the same sample; the encodings are the original's, by name.

    Raises:
        ModelError: ONNX Runtime does not accept a model.
    """
    constants = {str(v.name): v for v in original[0].graph.initializers.values()}
    weights = {name: held for name, held in encodings.items() if name in constants}
    activations = {name: held for name, held in encodings.items() if name not in constants}
    found, lost = _weights(weights, original[0], prepared[0])
    more, also_lost = _activations(activations, original, prepared)
    return Transferred({**found, **more}, (*lost, *also_lost))


def _weights(
    encodings: Mapping[str, Encoding], original: ir.Model, prepared: ir.Model
) -> tuple[dict[str, Encoding], list[str]]:
    by_size: dict[int, list[tuple[str, Array]]] = {}
    for value in prepared.graph.initializers.values():
        if value.const_value is not None:
            array = np.asarray(value.const_value.numpy())
            by_size.setdefault(array.size, []).append((str(value.name), array))
    found: dict[str, Encoding] = {}
    lost = []
    for name, encoding in encodings.items():
        tensor = original.graph.initializers[name].const_value
        array = np.asarray(tensor.numpy() if tensor is not None else 0.0)
        candidates = sorted(by_size.get(array.size, []), key=lambda item: item[0] != name)
        match = next(
            (
                (other, held)
                for other, values in candidates
                if (held := _as(encoding, array, values, scaled=other == name))
            ),
            None,
        )
        if match is None:
            lost.append(name)
        else:
            found[match[0]] = match[1]
    return found, lost


def _as(
    encoding: Encoding, array: Array, values: Array, *, scaled: bool = False
) -> Encoding | None:
    """The encoding of `array` as one of `values`; None where they are not the same.

    Args:
        encoding: of `array`.
        array: the weight as given.
        values: the weight as prepared.
        scaled: whether its channels may have become multiples of what they were.
    """
    if np.array_equal(array, values):
        return encoding
    if array.ndim == 2 and np.array_equal(array.T, values):
        return _turned(encoding)
    if scaled and array.shape == values.shape:
        return _multiplied(encoding, array, values)
    if scaled and array.ndim == 2 and array.T.shape == values.shape:
        return _multiplied(_turned(encoding), array.T, values)
    return None


def _turned(encoding: Encoding) -> Encoding:
    """The encoding of a matrix as that of its transpose."""
    match encoding.granularity:
        case PerBlock(axis, size):
            scale, zero = encoding.scale.T, encoding.zero_point.T
            return Encoding(encoding.dtype, scale, zero, PerBlock(1 - axis, size))
        case PerAxis(axis):
            return replace(encoding, granularity=PerAxis(1 - axis))
        case _:
            return encoding


def _multiplied(encoding: Encoding, array: Array, values: Array) -> Encoding | None:
    """The encoding that gives `values` the integers of `array`, each channel times a number."""
    match encoding.granularity:
        case PerBlock(axis, _) if axis in (0, 1):
            channel: int | None = 1 - axis
        case PerAxis(axis):
            channel = axis
        case _:
            channel = None
    before, after = array.astype(np.float64), values.astype(np.float64)
    others = tuple(axis for axis in range(array.ndim) if axis != channel)
    energy = np.sum(before**2, axis=others, keepdims=True)
    product = np.sum(before * after, axis=others, keepdims=True)
    factor = np.where(energy > 0, product / np.where(energy > 0, energy, 1.0), 1.0)
    if np.any(factor <= 0) or not np.allclose(before * factor, after, rtol=1e-6, atol=0):
        return None
    match encoding.granularity:
        case PerBlock():
            multiples = factor
        case PerAxis():
            multiples = factor.reshape(-1)
        case _:
            multiples = factor.reshape(())
    return replace(encoding, scale=(encoding.scale * multiples).astype(np.float32))


def _activations(
    encodings: Mapping[str, Encoding],
    original: tuple[ir.Model, Feeds],
    prepared: tuple[ir.Model, Feeds],
) -> tuple[dict[str, Encoding], list[str]]:
    before = _values(*original, only=set(encodings))
    after = _values(*prepared, only=None)
    by_size: dict[int, list[str]] = {}
    for name, array in after.items():
        by_size.setdefault(array.size, []).append(name)
    found: dict[str, Encoding] = {}
    lost = []
    for name, array in before.items():
        free = [other for other in by_size.get(array.size, []) if other not in found]
        free.sort(key=lambda other: other != name)
        match = next((other for other in free if _same(array, after[other])), None)
        if match is None:
            lost.append(name)
        else:
            found[match] = encodings[name]
    return found, lost + [name for name in encodings if name not in before]


def _same(first: Array, second: Array) -> bool:
    a, b = (array.reshape(-1).astype(np.float64) for array in (first, second))
    return float(np.linalg.norm(a - b)) <= _CLOSE * float(np.linalg.norm(a))


def _values(model: ir.Model, feeds: Feeds, only: set[str] | None) -> dict[str, Array]:
    """Float tensors of one sample by name: inputs and what nodes give."""
    names = [
        str(value.name)
        for node in model.graph
        for value in node.outputs
        if value.dtype == ir.DataType.FLOAT and (only is None or str(value.name) in only)
    ]
    values = CpuModel(expose(model, names)).run(feeds, names)
    fed = {name: np.asarray(array) for name, array in feeds.items()}
    return {**{n: a for n, a in fed.items() if only is None or n in only}, **values}
