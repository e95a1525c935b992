"""Names that are new in a graph."""

from __future__ import annotations

import onnx_ir as ir

__all__ = ["Names"]


class Names:
    """All value and node names of a graph, and new ones that clash with none."""

    def __init__(self, graph: ir.Graph) -> None:
        self._values = {str(v.name) for v in (*graph.inputs, *graph.initializers.values())}
        self._nodes: set[str] = set()
        for node in graph.all_nodes():
            self._nodes.add(str(node.name))
            self._values.update(str(v.name) for v in node.outputs)

    def take(self, name: str) -> None:
        """Notes that a value of that name exists now."""
        self._values.add(name)

    def fresh(self, name: str, also: tuple[str, ...] = ("",)) -> str:
        """`name`, or `name_2`, `name_3`, …: the first that is new with each suffix in `also`."""
        return _first_new(name, self._values, also)

    def fresh_node(self, name: str) -> str:
        """A new node name."""
        found = _first_new(name, self._nodes, ("",))
        self._nodes.add(found)
        return found


def _first_new(name: str, known: set[str], suffixes: tuple[str, ...]) -> str:
    candidate, number = name, 1
    while any(candidate + suffix in known for suffix in suffixes):
        number += 1
        candidate = f"{name}_{number}"
    return candidate
