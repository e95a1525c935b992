"""Digests: a model that gives, instead of its large activations, the little that observers want.

For each watched tensor the graph itself takes minimum, maximum, sum and an even subsample, so that
ONNX Runtime goes on using one buffer after another, and no activation is copied out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.graph.shapes import static_shape
from snapq.quantization.names import Names
from snapq.quantization.observers.collector import SUBSAMPLE

__all__ = ["Digest", "add_digests", "digest", "read"]

_END = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Digest:
    """What is told of one tensor in one sample.

    Attributes:
        minimum: smallest value, -inf included.
        maximum: largest value.
        total: sum of all values; NaN where any of them is.
        count: how many values there are.
        picks: an even subsample of the values, flat.
    """

    minimum: float
    maximum: float
    total: float
    count: int
    picks: npt.NDArray[np.float32]


def digest(values: npt.NDArray[np.generic]) -> Digest:
    """The digest of a tensor that is at hand."""
    flat = np.ascontiguousarray(values).reshape(-1).astype(np.float32, copy=False)
    if not flat.size:
        return Digest(np.inf, -np.inf, 0.0, 0, flat)
    picks = flat[:: _stride(flat.size)]
    total = float(flat.sum(dtype=np.float64))
    return Digest(float(flat.min()), float(flat.max()), total, flat.size, picks)


def read(value: npt.NDArray[np.generic], count: int | None) -> Digest:
    """The digest that an output of `add_digests` holds."""
    told = value.astype(np.float32, copy=False)
    picks = told[3:]
    return Digest(float(told[0]), float(told[1]), float(told[2]), count or picks.size, picks)


def add_digests(model: ir.Model, tensors: Sequence[str]) -> tuple[ir.Model, dict[str, int | None]]:
    """A copy of the model that gives the digests of some tensors, and nothing else.

    Args:
        model: the float model.
        tensors: names of float values that nodes of the main graph give; none is empty.

    Returns:
        The model, whose outputs are in the order of `tensors`, and the number of values of each
        tensor, None where its shape is not known.
    """
    copy = model.clone()
    graph = copy.graph
    values = {str(value.name): value for node in graph for value in node.outputs}
    names = Names(graph)
    counts: dict[str, int | None] = {}
    outputs = []
    for name in tensors:
        size = _size(values[name])
        counts[name] = size
        outputs.append(_append(graph, values[name], _stride(size or 1), names))
    graph.outputs.clear()
    graph.outputs.extend(outputs)
    return copy, counts


def _append(graph: ir.Graph, value: ir.Value, stride: int, names: Names) -> ir.Value:
    """Adds the nodes that give `[minimum, maximum, sum, picks …]` of a value."""

    def constant(*numbers: int) -> ir.Value:
        tensor = ir.Tensor(np.array(numbers, np.int64))
        node = ir.node("Constant", [], attributes={"value": tensor})
        return add(node)

    def add(node: ir.Node) -> ir.Value:
        name = names.fresh(f"{value.name}_digest")
        names.take(name)
        node.name = names.fresh_node(name)
        node.outputs[0].name = name
        graph.append(node)
        return node.outputs[0]

    flat = add(ir.node("Reshape", [value, constant(-1)]))
    parts = [
        add(ir.node(op, [flat], attributes={"keepdims": 1}))
        for op in ("ReduceMin", "ReduceMax", "ReduceSum")
    ]
    ends = (constant(0), constant(_END), constant(0), constant(stride))
    picks = add(ir.node("Slice", [flat, *ends])) if stride > 1 else flat
    result = add(ir.node("Concat", [*parts, picks], attributes={"axis": 0}))
    result.type = ir.TensorType(ir.DataType.FLOAT)
    return result


def _size(value: ir.Value) -> int | None:
    shape = static_shape(value)
    return int(np.prod(shape, dtype=np.int64)) if shape is not None else None


def _stride(size: int) -> int:
    """An odd stride does not fall into step with channels, whose number is mostly even."""
    return max(1, size // SUBSAMPLE) | 1
