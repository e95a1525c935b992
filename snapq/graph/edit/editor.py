"""The editor that passes use to change a graph."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from snapq.graph.edit.additions import add_constant
from snapq.graph.edit.constants import row_major
from snapq.graph.edit.names import Names
from snapq.graph.edit.neighbours import can_rename, is_dead, release_outer_values

Operand = ir.Value | np.ndarray | None
"""An input of a new node: a value of the graph, a new constant, or nothing."""
Attribute = int | float | str | Sequence[int] | Sequence[float] | ir.TensorProtocol

_PARAMETER_NAMES = {1: "weight", 2: "bias"}


class Editor:
    """Adds nodes and constants to a graph and puts values in the place of others.

    New nodes go in front of `anchor`. Names are unique in the graph, and the same edits give the
    same names. `replaced` has each value that went and the one in its place.
    """

    def __init__(self, graph: ir.Graph) -> None:
        self.graph = graph
        self.anchor: ir.Node | None = None
        self.replaced: list[tuple[ir.Value, ir.Value]] = []
        self._names = Names(graph)
        self._fresh: set[ir.Value] = set()

    def begin(self, place: ir.Node | ir.Value) -> None:
        """Starts an edit in front of a node, or of the node that makes a value."""
        self.anchor = place if isinstance(place, ir.Node) else place.producer()
        self._fresh = set()

    def op(self, op_type: str, *inputs: Operand, **attributes: Attribute) -> ir.Value:
        """Adds a node with one output in front of the anchor."""
        return self.ops(op_type, *inputs, outputs=1, **attributes)[0]

    def ops(
        self, op_type: str, *inputs: Operand, outputs: int, **attributes: Attribute
    ) -> tuple[ir.Value, ...]:
        """Adds a node with several outputs in front of the anchor.

        Values are named as the anchor's with the operator behind, in capitals: the provider makes
        values of its own, `NAME_reshape` for a Conv of one dimension, and refuses the Conv where
        that name is taken. Inputs at the end that are None are left out: the provider refuses a
        Conv whose bias is named and empty.
        """
        assert self.anchor is not None
        while inputs and inputs[-1] is None:
            inputs = inputs[:-1]
        base = f"{self.anchor.outputs[0].name}_{op_type}"
        values = [
            self.constant(np.asarray(item), f"{base}_constant")
            if isinstance(item, np.ndarray | np.generic)
            else item
            for item in inputs
        ]
        results = [ir.Value(name=self._names.unique(base)) for _ in range(outputs)]
        name = self._names.unique(f"{self.anchor.name}_{op_type}")
        node = ir.node(op_type, values, attributes=attributes, outputs=results, name=name)
        self.graph.insert_before(self.anchor, node)
        self._fresh.update(results)
        return tuple(results)

    def adopt(self, node: ir.Node) -> None:
        """Puts a node of another graph in front of the anchor, with names of its own."""
        assert self.anchor is not None
        node.name = self._names.unique(node.name or node.op_type)
        for output in node.outputs:
            output.name = self._names.unique(output.name or node.op_type)
        self.graph.insert_before(self.anchor, node)
        self._fresh.update(node.outputs)

    def constant(self, array: np.ndarray, name: str) -> ir.Value:
        """Adds a constant."""
        return add_constant(self.graph, self._names.unique(name), array)

    def set_constant(self, node: ir.Node, index: int, array: np.ndarray) -> None:
        """Gives `node` a constant input, under the name of the old one where only it uses that."""
        node.resize_inputs(max(len(node.inputs), index + 1))
        old = node.inputs[index]
        array = row_major(array)
        if old is None or not old.is_initializer() or len(old.uses()) > 1 or old.is_graph_output():
            name = f"{node.outputs[0].name}_{_PARAMETER_NAMES.get(index, index)}"
            node.replace_input_with(index, self.constant(array, name))
            return
        old.const_value = ir.tensor(array, name=old.name)
        old.shape = ir.Shape(array.shape)
        old.type = ir.TensorType(old.const_value.dtype)

    def replace_scaled(self, old: ir.Value, new: ir.Value, factor: float) -> None:
        """Puts `factor * new` in the place of `old`, and removes what made it."""
        maker = old.producer()
        assert maker is not None
        if abs(factor - 1) > 1e-3:
            new = self.op("Mul", new, np.array(factor, np.float32))
        self.replace(old, new)
        self.remove_if_dead(maker)

    def replace(self, old: ir.Value, new: ir.Value) -> None:
        """Puts `new` in the place of `old` everywhere, with the name of `old` where it is fresh.

        A graph output keeps its name: where `new` cannot take it, an Identity bears it.
        """
        if new.shape is None:
            new.shape = old.shape
        if new.type is None:
            new.type = old.type
        if old.is_graph_output() and not can_rename(new):
            new = self.op("Identity", new)
            new.shape, new.type = old.shape, old.type
        self.replaced.append((old, new))
        name, renames = old.name, new in self._fresh or old.is_graph_output()
        old.replace_all_uses_with(new, replace_graph_outputs=True)
        if renames:
            old.name = self._names.unique(f"{name}_replaced")
            new.name = name

    def rename(self, value: ir.Value, name: str) -> None:
        """Gives a value whose numbers have changed another name: encodings may go by the old."""
        value.name = self._names.unique(name)

    def rename_node(self, made: ir.Value, name: str) -> None:
        """Gives the node that makes a value another name."""
        maker = made.producer()
        assert maker is not None
        maker.name = self._names.unique(name)

    def remove_if_dead(self, node: ir.Node) -> None:
        """Removes a node that nothing uses, and then its makers that nothing uses any more."""
        waiting = [node]
        while waiting:
            dead = waiting.pop()
            if dead.graph is not self.graph or not is_dead(dead):
                continue
            makers = [value.producer() for value in dead.inputs if value is not None]
            release_outer_values(dead)
            self.graph.remove(dead, safe=True)
            waiting.extend(maker for maker in makers if maker is not None)
