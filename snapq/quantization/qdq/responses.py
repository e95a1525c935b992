"""What becomes of a tensor's numbers before anything but its own function reads them.

A Conv behind which `x * Sigmoid(x)` stands may give -90, and all below -6 becomes next to nothing:
what counts is how far the product is off, not how far x is. The function of one number is taken
from the graph itself, so that any activation, whatever it is written with, has one.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.cpu import CpuModel
from snapq.graph import io
from snapq.operators import Encodings, Trait, spec_of
from snapq.quantization.qdq.decisions import Decision, constant, is_float

__all__ = ["Response", "responses"]

_MOST_NODES = 12
_COMPUTED = (Encodings.OWN,)
_GRID = np.arange(-32.0, 32.25, 0.25)
_LAST = _GRID.size - 1
_STEPS = 512
"""Half a step of 8 bits."""
_MOVED = (Encodings.SHARED, Encodings.JOINED)

Floats = npt.NDArray[np.float64]


class Response:
    """A function of one number, computed by the nodes that make it up.

    Args:
        start: the tensor whose numbers it takes.
        nodes: elementwise nodes that read nothing but that tensor, scalars and each other, in
            graph order.
        end: what the rest of the model reads of them.
        opset: of the model.

    Attributes:
        last: whether its results leave the model, moved at most.
    """

    def __init__(
        self, start: ir.Value, nodes: tuple[ir.Node, ...], end: ir.Value, opset: int
    ) -> None:
        self._model = _opened(io.serialized(_alone(start, nodes, end, opset)))
        self.last = _leaves(end)

    def __call__(self, values: Floats) -> Floats:
        """The function of each value, `[n]`."""
        fed = {"x": np.asarray(values, np.float32)}
        return self._model.run(fed)["y"].astype(np.float64).reshape(-1)

    def visible(self) -> tuple[float, float] | None:
        """Between which values 8 bits tell results apart; None where there is no such end."""
        results = self(_GRID)
        span = float(results.max() - results.min())
        near = span / _STEPS
        inside = np.flatnonzero(
            (np.abs(results - results[0]) > near) & (np.abs(results - results[-1]) > near)
        )
        flat = abs(results[1] - results[0]) + abs(results[-1] - results[-2]) < near / 8
        if not (span and flat and inside.size):
            return None
        return float(_GRID[max(inside[0] - 1, 0)]), float(_GRID[min(inside[-1] + 1, _LAST)])


def responses(
    graph: ir.Graph, decisions: Mapping[ir.Node, Decision], opset: int
) -> dict[ir.Value, Response]:
    """The tensors that one function alone reads, and that function.

    1. Its nodes compute in integers, element by element, and all else that they read are scalars.
    2. All readers of the tensor belong to it, and the rest of the model reads one tensor of it.
    3. It may be moved on the way, by one reader after another, and joined with others.
    4. What clamps is none: there saturation does the work.
    """
    found = {}
    for node in graph:
        for value in node.outputs:
            start = _moved(value, decisions)
            if not is_float(start):
                continue  # a condition, such as that of a mask
            nodes, end = _behind(start, decisions)
            if end is not None:
                found[value] = Response(start, nodes, end, opset)
    return found


@lru_cache(maxsize=64)
def _opened(model: bytes) -> CpuModel:
    """Most layers of a network have the same activation."""
    return CpuModel(model)


def _moved(value: ir.Value, decisions: Mapping[ir.Node, Decision]) -> ir.Value:
    """Where the numbers of a tensor are before anything computes with them."""
    while len(value.uses()) == 1 and not value.is_graph_output():
        reader = next(iter(value.uses())).node
        row = spec_of(reader)
        integers = decisions.get(reader, Decision()).dtype is not None
        moves = row.has(Trait.MOVES) and row.encodings in _MOVED and integers
        if not moves or len(reader.outputs) != 1:
            break
        value = reader.outputs[0]
    return value


def _leaves(value: ir.Value) -> bool:
    """Whether a tensor is an output of the model, moved and joined at most."""
    if value.is_graph_output():
        return True
    readers = [use.node for use in value.uses()]
    return len(readers) == 1 and all(
        spec_of(one).has(Trait.MOVES) and len(one.outputs) == 1 and _leaves(one.outputs[0])
        for one in readers
    )


def _behind(
    start: ir.Value, decisions: Mapping[ir.Node, Decision]
) -> tuple[tuple[ir.Node, ...], ir.Value | None]:
    """The nodes of the function behind a tensor, and what it ends with, None without one."""
    inside, nodes = {start}, dict[ir.Node, None]()
    grown = True
    while grown and len(nodes) < _MOST_NODES:
        grown = False
        for user in [one.node for value in tuple(inside) for one in value.uses()]:
            if user not in nodes and _of(user, inside, decisions):
                nodes[user] = None
                inside.add(user.outputs[0])
                grown = True
    if not nodes or start.is_graph_output() or not all(use.node in nodes for use in start.uses()):
        return (), None
    ends = [value for value in inside - {start} if _is_end(value, nodes)]
    return tuple(nodes), ends[0] if len(ends) == 1 else None


def _is_end(value: ir.Value, nodes: Mapping[ir.Node, None]) -> bool:
    return value.is_graph_output() or any(use.node not in nodes for use in value.uses())


def _of(node: ir.Node, inside: set[ir.Value], decisions: Mapping[ir.Node, Decision]) -> bool:
    """Whether a node computes a function of tensors of the region, and of scalars."""
    decision, row = decisions.get(node, Decision()), spec_of(node)
    if decision.dtype is None or row.encodings not in _COMPUTED or len(node.outputs) != 1:
        return False
    return row.has(Trait.ELEMENTWISE) and all(
        value is None or value in inside or _is_scalar(value) for value in node.inputs
    )


def _is_scalar(value: ir.Value) -> bool:
    tensor = constant(value)
    return tensor is not None and tensor.size == 1


def _alone(start: ir.Value, nodes: tuple[ir.Node, ...], end: ir.Value, opset: int) -> ir.Model:
    """The nodes as a model from `x` to `y`, of any number of values."""
    kind, shape = ir.TensorType(ir.DataType.FLOAT), ir.Shape(["n"])
    fed = ir.Value(name="x", shape=shape, type=kind)
    copies: dict[ir.Value | None, ir.Value | None] = {None: None, start: fed}
    scalars: list[ir.Value] = []
    written = []
    for index, node in enumerate(nodes):
        for value in node.inputs:
            if value is not None and value not in copies:
                tensor = constant(value)
                assert tensor is not None
                name = f"scalar_{len(scalars)}"
                held = ir.tensor(tensor.numpy().reshape(()), name=name)
                copies[value] = ir.Value(
                    name=name, shape=ir.Shape([]), type=ir.TensorType(held.dtype), const_value=held
                )
                scalars.append(copies[value])  # type: ignore[arg-type]
        result = ir.Value(name="y" if node.outputs[0] is end else f"inner_{index}")
        read = [copies[value] for value in node.inputs]
        attributes = list(node.attributes.values())
        written.append(
            ir.Node(node.domain, node.op_type, read, attributes, outputs=[result], name=str(index))
        )
        copies[node.outputs[0]] = result
    result = next(one.outputs[0] for one in written if one.outputs[0].name == "y")
    result.type, result.shape = kind, shape
    graph = ir.Graph(
        [fed], [result], nodes=written, initializers=scalars, opset_imports={"": opset}, name="x_y"
    )
    return ir.Model(graph, ir_version=10)
