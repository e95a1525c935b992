"""The order of nodes that the NPU's compiler makes the most of."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from snapq.graph.edit import subgraphs

__all__ = ["last_reader_first"]


def last_reader_first(graph: ir.Graph) -> None:
    """Sorts nodes, in place, so that of several that read a tensor the last one comes first.

    By Qualcomm's estimate on QCS9075 that is as fast as an exporter's order or faster: seven models
    at w8a8 and w8a16 took from 0 to 0.4 % fewer cycles, most of all CenterFace with its four heads
    on one tensor. ONNX Runtime's optimizer leaves models in such an order too.
    """
    users: dict[ir.Node, dict[ir.Node, None]] = {node: {} for node in graph}
    for node in graph:
        for value in _read(node):
            producer = value.producer()
            if producer in users:
                users[producer][node] = None
    ordered: list[ir.Node] = []
    reached: set[ir.Node] = set()
    for first in graph:
        waiting = [(first, iter(users[first]))] if first not in reached else []
        reached.add(first)
        while waiting:
            node, left = waiting[-1]
            fresh = next((user for user in left if user not in reached), None)
            if fresh is None:
                ordered.append(node)
                waiting.pop()
            else:
                reached.add(fresh)
                waiting.append((fresh, iter(users[fresh])))
    graph.remove(ordered)
    graph.extend(reversed(ordered))


def _read(node: ir.Node) -> Iterator[ir.Value]:
    """What a node and the graphs that it holds read."""
    yield from (value for value in node.inputs if value is not None)
    for graph in subgraphs(node):
        for inner in graph.all_nodes():
            yield from (value for value in inner.inputs if value is not None)
