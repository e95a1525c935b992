"""Quantizes a float model with encodings that it was given, measuring only what they leave out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.precision import precision_name
from snapq.quantization.encodings import Encoding
from snapq.quantization.existing_qdq.imposed import Conditions, impose
from snapq.quantization.qdq.scheme import NodePrecision
from snapq.quantization.quantize import Quantized, quantize

__all__ = ["Requantized", "requantize"]


@dataclass(frozen=True)
class Requantized:
    """A quantized model, and what its encodings add up to.

    Attributes:
        quantized: the model.
        precision: most common types of weights and activations, such as `w8a16`.
        imposed: number of given encodings that it has.
        bare: names of nodes that came without an encoding of what they give, and stay integer.
    """

    quantized: Quantized
    precision: str
    imposed: int
    bare: tuple[str, ...] = ()


def requantize(
    model: ir.Model,
    encodings: Mapping[str, Encoding],
    conditions: Conditions,
    samples: Iterable[Mapping[str, npt.NDArray[np.generic]]] | None = None,
    *,
    inputs: Mapping[str, Encoding] | None = None,
    floats: Collection[str] = (),
    per_node: Mapping[str, NodePrecision] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Requantized:
    """Quantizes a prepared float model with given encodings.

    Args:
        model: a prepared float model.
        encodings: by its tensor names.
        conditions: what the devices take, and what types bare tensors get.
        samples: for what has no encoding; None where all has.
        inputs: encodings of graph inputs that win over the given ones.
        floats: tensors that shall stay in float.
        per_node: precisions of nodes that win over the given ones.
        progress: called with the number of samples done.

    Raises:
        DataError: tensors have no encoding and there are no samples; they are named.
    """
    imposed = impose(model, encodings, conditions, floats)
    scheme = imposed.scheme
    scheme = replace(scheme, per_node={**scheme.per_node, **(per_node or {})})
    fixed = {**imposed.encodings, **(inputs or {})}
    result = quantize(model, samples, scheme, fixed=fixed, progress=progress)
    kept = sum(result.encodings.get(name) == held for name, held in imposed.encodings.items())
    return Requantized(
        replace(result, notes=(*imposed.notes, *result.notes)),
        precision_name(imposed.weights, scheme.activations),
        kept,
        imposed.bare,
    )
