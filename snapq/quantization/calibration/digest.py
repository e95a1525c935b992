"""Digests: a model that gives, instead of its large activations, the little that observers want.

For each large tensor the graph itself takes minimum, maximum, sum and an even subsample, so that
ONNX Runtime goes on using one buffer after another, and no activation is copied out. Small tensors
come out whole, all of them in one array: a node for each figure of each would cost more than the
model itself. The subsamples can be left out for single samples: taking and counting them costs a
third of what a small convolutional network does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
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
_NOTHING = np.zeros(0, np.float32)


@dataclass(slots=True)
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
        model: gives the digests and nothing else. Beside the inputs of the given model it has
            `switch`, which says whether subsamples are taken.
        small: number of values of each tensor that comes out whole, by name, in their order.
        whole: the output that holds these one behind the other; None where there are none.
        large: number of values of every other tensor, by name, in their order; None for one that is
            not known.
        figures: the output with minimum, maximum and sum of each of these; None where there are
            none.
        picks: the outputs with the subsamples of these, by name.
        always: those of them whose subsamples are taken of every sample.
        switch: the input of one int64; None where there is none.
    """

    model: ir.Model
    small: Mapping[str, int]
    whole: str | None
    large: Mapping[str, int | None]
    figures: str | None
    picks: Mapping[str, str]
    always: frozenset[str]
    switch: str | None

    def feeds(self, *, counted: bool) -> dict[str, npt.NDArray[np.int64]]:
        """What the model takes beside a sample, of which subsamples are `counted` or not."""
        if self.switch is None:
            return {}
        return {self.switch: np.array([_END if counted else 0], np.int64)}

    def outputs(self, *, counted: bool) -> list[str]:
        """Names of the outputs that `read` wants."""
        picks = [output for name, output in self.picks.items() if counted or name in self.always]
        return [*filter(None, (self.whole, self.figures)), *picks]

    def read(self, values: Mapping[str, npt.NDArray[np.generic]]) -> Iterator[tuple[str, Digest]]:
        """The digests of one sample, by name of the tensor; `values` is what the model gave.

        Without the output with a subsample that is empty.
        """
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
        if self.figures is None:
            return
        rows = values[self.figures].astype(np.float32, copy=False).reshape(-1, 3).tolist()
        for (name, count), (low, high, total) in zip(self.large.items(), rows, strict=True):
            given = values.get(self.picks[name])
            picks = _NOTHING if given is None else given.astype(np.float32, copy=False)
            yield name, Digest(low, high, total, picks.size if count is None else count, picks)


def add_digests(model: ir.Model, tensors: Sequence[str], always: Collection[str] = ()) -> Digests:
    """A copy of a float model that gives the digests of some tensors, and nothing else.

    Nodes of its main graph give these, and none is empty. Those whose size is not known, and those
    in `always`, have subsamples of every sample.
    """
    copy = model.clone()
    graph = copy.graph
    values = {str(value.name): value for node in graph for value in node.outputs}
    names = Names(graph)
    sizes = {name: _size(values[name]) for name in tensors}
    small = {name: size for name, size in sizes.items() if size and _stride(size) == 1}
    large = {name: size for name, size in sizes.items() if name not in small}
    kept = frozenset(name for name, size in large.items() if size is None or name in always)
    switch = None
    if len(kept) < len(large):
        switch = ir.Value(
            name=names.unique("counted"), shape=ir.Shape([1]), type=ir.TensorType(ir.DataType.INT64)
        )
        graph.inputs.append(switch)
    figures: list[ir.Value] = []
    picks: dict[str, ir.Value] = {}
    for name, size in large.items():
        end = None if name in kept else switch
        own, picks[name] = _append(graph, values[name], _stride(size or 1), end, names)
        figures += own
    whole = _join(graph, _flat(graph, [values[name] for name in small], names), names, "whole")
    told = _join(graph, figures, names, "figures")
    graph.outputs.clear()
    graph.outputs.extend([one for one in (whole, told) if one is not None] + [*picks.values()])
    return Digests(
        copy,
        small,
        str(whole.name) if whole else None,
        large,
        str(told.name) if told else None,
        {name: str(value.name) for name, value in picks.items()},
        kept,
        str(switch.name) if switch else None,
    )


def _flat(graph: ir.Graph, values: Sequence[ir.Value], names: Names) -> list[ir.Value]:
    """Adds the nodes that give values flat."""
    if not values:
        return []
    shape = _constant(graph, names, "whole", -1)
    return [
        _add(graph, names, ir.node("Reshape", [value, shape]), str(value.name)) for value in values
    ]


def _join(graph: ir.Graph, flat: Sequence[ir.Value], names: Names, stem: str) -> ir.Value | None:
    """Adds the node that gives flat values one behind the other; None where there are none."""
    if not flat:
        return None
    result = _add(graph, names, ir.node("Concat", flat, attributes={"axis": 0}), stem)
    result.type = ir.TensorType(ir.DataType.FLOAT)
    return result


def _append(
    graph: ir.Graph, value: ir.Value, stride: int, end: ir.Value | None, names: Names
) -> tuple[list[ir.Value], ir.Value]:
    """Adds the nodes that give `[minimum]`, `[maximum]`, `[sum]` and `[picks …]` of a value.

    Picks are taken up to `end`, or to the end of the value.
    """

    def add(node: ir.Node) -> ir.Value:
        return _add(graph, names, node, str(value.name))

    def constant(number: int) -> ir.Value:
        return _constant(graph, names, str(value.name), number)

    flat = add(ir.node("Reshape", [value, constant(-1)]))
    figures = [
        add(ir.node(op, [flat], attributes={"keepdims": 1}))
        for op in ("ReduceMin", "ReduceMax", "ReduceSum")
    ]
    ends = (constant(0), end or constant(_END), constant(0), constant(stride))
    picks = add(ir.node("Slice", [flat, *ends])) if stride > 1 else flat
    picks.type = ir.TensorType(ir.DataType.FLOAT)
    return figures, picks


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
