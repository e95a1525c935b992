"""A cache whose inputs and outputs are integers of an encoding, in the place of floats."""

from __future__ import annotations

from collections.abc import Collection

import onnx_ir as ir

from snapq.errors import ModelError
from snapq.graph.edit import remove_unused_constants

__all__ = ["integers_at"]


def integers_at(model: ir.Model, names: Collection[str]) -> None:
    """Lets some inputs and outputs of a Q/DQ model be its integers, in place.

    1. An input that only one QuantizeLinear reads takes what that gives.
    2. An output that a DequantizeLinear gives becomes what that reads.

    Raises:
        ModelError: one of them is not quantized so.
    """
    graph = model.graph
    for value in tuple(graph.inputs):
        if value.name in names:
            _take_integers(graph, value)
    for position, value in enumerate(tuple(graph.outputs)):
        if value.name in names:
            _give_integers(graph, position, value)
    remove_unused_constants(graph)


def _take_integers(graph: ir.Graph, value: ir.Value) -> None:
    readers = [node for node, _ in value.uses()]
    if [node.op_type for node in readers] != ["QuantizeLinear"]:
        raise _unquantized(value)
    given = readers[0].outputs[0]
    taken = ir.Value(name=value.name, shape=value.shape, type=given.type)
    graph.inputs[list(graph.inputs).index(value)] = taken
    given.replace_all_uses_with(taken)
    graph.remove(readers[0], safe=True)


def _give_integers(graph: ir.Graph, position: int, value: ir.Value) -> None:
    node = value.producer()
    if node is None or node.op_type != "DequantizeLinear" or value.uses():
        raise _unquantized(value)
    given = node.inputs[0]
    assert given is not None
    name = value.name
    graph.outputs[position] = given
    graph.remove(node, safe=True)
    given.name = name


def _unquantized(value: ir.Value) -> ModelError:
    return ModelError(
        f"'{value.name}' of the cache is not quantized with one encoding.",
        hint="This is a defect of snapq; please report it with the model.",
    )
