"""New constants and nodes in a graph, and what they do to the users of its values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from snapq.graph.edit.constants import row_major
from snapq.graph.edit.names import Names

Array = np.ndarray[Any, np.dtype[Any]]


def free_name(graph: ir.Graph, name: str) -> str:
    """`name`, or `name_2`, `name_3`, … where it is taken."""
    return Names(graph).unique(name)


def add_constant(
    graph: ir.Graph, name: str, array: Array, dtype: ir.DataType | None = None
) -> ir.Value:
    """Adds a constant under that name, which must be new; `dtype` where numpy does not have it."""
    tensor = ir.Tensor(row_major(array), dtype=dtype, name=name)
    value = ir.Value(
        name=name, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype), const_value=tensor
    )
    graph.register_initializer(value)
    return value


def new_constant(graph: ir.Graph, name: str, array: Array) -> ir.Value:
    """Adds a constant under a free name."""
    return add_constant(graph, free_name(graph, name), array)


def new_node(
    graph: ir.Graph,
    op_type: str,
    name: str,
    inputs: Sequence[ir.Value],
    attributes: Mapping[str, Any],
) -> ir.Node:
    """A node of one output, named as its output, not in the graph yet."""
    free = free_name(graph, name)
    node = ir.node(op_type, inputs, attributes=attributes, name=free)
    node.outputs[0].name = free
    return node


def insert_before_uses(graph: ir.Graph, value: ir.Value, nodes: Sequence[ir.Node]) -> None:
    """Puts a chain of nodes, the first of which takes `value`, between `value` and its users."""
    if not nodes:
        return
    own = set(nodes)
    users = [(node, index) for node, index in value.uses() if node not in own]
    producer = value.producer()
    if producer is not None and producer.graph is graph:
        graph.insert_after(producer, nodes)
    else:
        prepend(graph, nodes)
    for node, index in users:
        node.replace_input_with(index, nodes[-1].outputs[0])


def prepend(graph: ir.Graph, nodes: Sequence[ir.Node]) -> None:
    """Puts nodes in front of all others."""
    if len(graph):
        graph.insert_before(graph[0], nodes)
    else:
        graph.extend(nodes)
