"""Digests: a model that gives, instead of its large activations, the little that observers want.

For each large tensor the graph itself takes minimum, maximum, sum and an even subsample, so that
ONNX Runtime goes on using one buffer after another, and no activation is copied out. Small tensors
come out whole, all of them in one array: a node for each figure of each would cost more than the
model itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.graph.edit import Names
from snapq.graph.shapes import static_shape
from snapq.quantization.calibration.observers.collector import SUBSAMPLE

__all__ = ["Digest", "Digests", "add_digests", "digest"]

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


@dataclass(frozen=True)
class Digests:
    """A model that gives digests, and how to read them.

    Attributes:
        model: gives the digests and nothing else.
        small: number of values of each tensor that comes out whole, by name, in their order.
        whole: the output that holds these one behind the other; None where there are none.
        large: output and number of values of every other tensor, by name; None for a number that
            is not known.
    """

    model: ir.Model
    small: Mapping[str, int]
    whole: str | None
    large: Mapping[str, tuple[str, int | None]]

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the model's outputs."""
        return tuple(str(value.name) for value in self.model.graph.outputs)

    def read(self, values: Mapping[str, npt.NDArray[np.generic]]) -> Iterator[tuple[str, Digest]]:
        """The digests of one sample, by name of the tensor; `values` is what the model gave."""
        if self.whole is not None:
            whole = values[self.whole].astype(np.float32, copy=False)
            ends = tuple(accumulate(self.small.values()))
            starts = (0, *ends[:-1])
            ufuncs = (np.minimum, np.maximum, np.add)
            with np.errstate(over="ignore", invalid="ignore"):  # masks of -3e38, and -inf
                figures = [ufunc.reduceat(whole, starts) for ufunc in ufuncs]
            told = np.stack(figures, axis=1).tolist()
            for name, first, last, (low, high, total) in zip(
                self.small, starts, ends, told, strict=True
            ):
                yield name, Digest(low, high, total, last - first, whole[first:last])
        for name, (output, count) in self.large.items():
            given = values[output].astype(np.float32, copy=False)
            low, high, total = given[:3].tolist()
            yield name, Digest(low, high, total, count or given.size - 3, given[3:])


def add_digests(model: ir.Model, tensors: Sequence[str]) -> Digests:
    """A copy of a float model that gives the digests of some tensors, and nothing else.

    Nodes of its main graph give these, and none is empty.
    """
    copy = model.clone()
    graph = copy.graph
    values = {str(value.name): value for node in graph for value in node.outputs}
    names = Names(graph)
    sizes = {name: _size(values[name]) for name in tensors}
    small = {name: size for name, size in sizes.items() if size and _stride(size) == 1}
    large = {
        name: (_append(graph, values[name], _stride(size or 1), names), size)
        for name, size in sizes.items()
        if name not in small
    }
    whole = _join(graph, [values[name] for name in small], names) if small else None
    graph.outputs.clear()
    graph.outputs.extend([*([whole] if whole else []), *(output for output, _ in large.values())])
    return Digests(
        copy,
        small,
        str(whole.name) if whole else None,
        {name: (str(output.name), size) for name, (output, size) in large.items()},
    )


def _join(graph: ir.Graph, values: Sequence[ir.Value], names: Names) -> ir.Value:
    """Adds the nodes that give all values flat, one behind the other."""
    shape = _constant(graph, names, "whole", -1)
    flat = [
        _add(graph, names, ir.node("Reshape", [value, shape]), str(value.name)) for value in values
    ]
    result = _add(graph, names, ir.node("Concat", flat, attributes={"axis": 0}), "whole")
    result.type = ir.TensorType(ir.DataType.FLOAT)
    return result


def _append(graph: ir.Graph, value: ir.Value, stride: int, names: Names) -> ir.Value:
    """Adds the nodes that give `[minimum, maximum, sum, picks …]` of a value."""

    def add(node: ir.Node) -> ir.Value:
        return _add(graph, names, node, str(value.name))

    def constant(number: int) -> ir.Value:
        return _constant(graph, names, str(value.name), number)

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


def _constant(graph: ir.Graph, names: Names, stem: str, number: int) -> ir.Value:
    tensor = ir.Tensor(np.array([number], np.int64))
    return _add(graph, names, ir.node("Constant", [], attributes={"value": tensor}), stem)


def _add(graph: ir.Graph, names: Names, node: ir.Node, stem: str) -> ir.Value:
    """Appends a node with one output; both get a name after `stem`."""
    node.name = node.outputs[0].name = names.unique(f"{stem}_digest")
    graph.append(node)
    return node.outputs[0]


def _size(value: ir.Value) -> int | None:
    shape = static_shape(value)
    return int(np.prod(shape, dtype=np.int64)) if shape is not None else None


def _stride(size: int) -> int:
    """An odd stride does not fall into step with channels, whose number is mostly even."""
    return max(1, size // SUBSAMPLE) | 1
