"""Values and the nodes around them: who makes one, who uses it, and what is unused."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from snapq.graph.shapes import static_shape


def is_op(node: ir.Node | None, *op_types: str) -> bool:
    """Whether the node is one of these operators of the standard domain."""
    return node is not None and node.domain == "" and node.op_type in op_types


def producer(value: ir.Value | None, *op_types: str) -> ir.Node | None:
    """The node that makes the value, where it is one of these standard operators."""
    node = value.producer() if value is not None else None
    return node if is_op(node, *op_types) else None


def sole_producer(value: ir.Value | None, *op_types: str) -> ir.Node | None:
    """Like `producer`, where the value has no other use: its node may be changed for this use."""
    if value is None or value.is_graph_output() or len(value.uses()) != 1:
        return None
    return producer(value, *op_types)


def rank(value: ir.Value | None) -> int | None:
    """Number of dimensions, where known."""
    return None if value is None or value.shape is None else len(value.shape)


def is_float(value: ir.Value | None) -> bool:
    """Whether the value is a tensor of 32-bit floats."""
    return value is not None and value.dtype == ir.DataType.FLOAT


def same_shape(left: ir.Value, right: ir.Value) -> bool:
    """Whether both shapes are known and equal."""
    shape = static_shape(left)
    return shape is not None and shape == static_shape(right)


def can_rename(value: ir.Value) -> bool:
    """Whether a value may take the name of a graph output."""
    return not (value.is_graph_input() or value.is_graph_output() or value.is_initializer())


def is_dead(node: ir.Node) -> bool:
    """Whether no output of the node is used."""
    return not any(is_used(output) for output in node.outputs)


def is_used(value: ir.Value) -> bool:
    """Whether a node reads the value or the graph gives it."""
    return bool(value.uses()) or value.is_graph_output()


def remove_unused_constants(graph: ir.Graph) -> None:
    """Removes constants that nothing reads and that are neither inputs nor outputs."""
    for name, value in tuple(graph.initializers.items()):
        if not (value.uses() or value.is_graph_output() or value.is_graph_input()):
            del graph.initializers[name]


def remove_dead_nodes(graph: ir.Graph) -> None:
    """Removes every node of which nothing is used, control flow with all that it holds."""
    for node in reversed(graph):
        if is_dead(node):
            release_outer_values(node)
            graph.remove(node, safe=True)


def release_outer_values(node: ir.Node) -> None:
    """Ends the uses that the branches of a control-flow node make of values outside them."""
    for graph in subgraphs(node):
        for inner in graph.all_nodes():
            for index in range(len(inner.inputs)):
                inner.replace_input_with(index, None)


def subgraphs(node: ir.Node) -> Iterator[ir.Graph]:
    """The branches, or the body, of a control-flow node."""
    for attribute in node.attributes.values():
        if attribute.type is ir.AttributeType.GRAPH and not attribute.is_ref():
            yield attribute.as_graph()
