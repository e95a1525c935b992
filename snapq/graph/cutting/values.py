"""Tensors of a graph by name, who depends on them, and others put in their place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx_ir as ir

from snapq.graph.edit import free_name, subgraphs

__all__ = ["dependents", "named_tensors", "read_values", "reroute"]


def named_tensors(model: ir.Model) -> dict[str, ir.Value]:
    """What the nodes of the main graph make, by name; not what its branches make."""
    return {str(out.name): out for node in model.graph for out in node.outputs if out.name}


def read_values(node: ir.Node) -> Iterator[ir.Value]:
    """What a node reads, and what the branches or the body in it read from outside."""
    yield from (value for value in node.inputs if value is not None)
    for graph in subgraphs(node):
        for inner in graph.all_nodes():
            yield from (value for value in inner.inputs if value is not None)
        yield from graph.outputs


def dependents(graph: ir.Graph, values: Iterable[ir.Value]) -> set[ir.Value]:
    """The values, and all that is computed of them; the nodes stand in their order."""
    reached = set(values)
    for node in graph:
        if any(value in reached for value in read_values(node)):
            reached.update(node.outputs)
    return reached


def reroute(graph: ir.Graph, old: ir.Value, new: ir.Value) -> None:
    """Lets all that reads `old` read `new`, which bears its name from then on."""
    old.replace_all_uses_with(new)
    for part in graph.subgraphs():  # a branch may hand out a value of the graph around it
        for index, value in enumerate(part.outputs):
            if value is old:
                part.outputs[index] = new
    name = str(old.name)
    old.name = None
    old.name = free_name(graph, f"{name}_uncut")
    new.name = name
