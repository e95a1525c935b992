"""Names that are new in a graph."""

from __future__ import annotations

import onnx_ir as ir

_GRAPHS = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)
_LONGEST = 80
"""Characters of a name in a message: TFLite's names list all operators that were fused."""


def short_name(node: ir.Node) -> str:
    """The name of a node for a message; of what it makes, where it has none."""
    name = str(node.name or node.outputs[0].name)
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


class Names:
    """All value and node names of a graph and the graphs inside it, and new ones."""

    def __init__(self, graph: ir.Graph) -> None:
        self._values: set[str] = set()
        self._nodes: set[str] = set()
        self._collect(graph)

    def _collect(self, graph: ir.Graph) -> None:
        # Once for each pass: `graph.subgraphs()` would take four times as long.
        self._values.update(graph.initializers)
        self._values.update(str(value.name) for value in graph.inputs)
        for node in graph:
            self._nodes.add(str(node.name))
            for output in node.outputs:
                self._values.add(str(output.name))
            for attribute in node.attributes.values():
                if attribute.type in _GRAPHS and not attribute.is_ref():
                    one = attribute.type is ir.AttributeType.GRAPH
                    for inner in (attribute.as_graph(),) if one else attribute.as_graphs():
                        self._collect(inner)

    def take(self, name: str) -> None:
        """Notes that a value of that name exists now."""
        self._values.add(name)

    def fresh(self, name: str, also: tuple[str, ...] = ("",)) -> str:
        """`name`, or `name_2`, `name_3`, …: the first that is new with each suffix in `also`."""
        return _first_new(name, (self._values,), also)

    def fresh_value(self, name: str) -> str:
        """A new value name, taken at once."""
        found = self.fresh(name)
        self._values.add(found)
        return found

    def fresh_node(self, name: str) -> str:
        """A new node name, taken at once."""
        found = _first_new(name, (self._nodes,), ("",))
        self._nodes.add(found)
        return found

    def unique(self, name: str) -> str:
        """A name that neither a value nor a node has, taken at once for both."""
        found = _first_new(name, (self._values, self._nodes), ("",))
        self._values.add(found)
        self._nodes.add(found)
        return found


def _first_new(name: str, known: tuple[set[str], ...], suffixes: tuple[str, ...]) -> str:
    candidate, number = name, 1
    while any(candidate + suffix in names for suffix in suffixes for names in known):
        number += 1
        candidate = f"{name}_{number}"
    return candidate
