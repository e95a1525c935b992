"""Questions about constants and neighbours, and the editor that rewrites use to change a graph."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from snapq.graph.shapes import static_shape

Operand = ir.Value | np.ndarray | None
"""An input of a new node: a value of the graph, a new constant, or nothing."""


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


def constant(value: ir.Value | None) -> np.ndarray | None:
    """The constant that the value holds, else None. Callers must not write to it."""
    if value is None or value.const_value is None or value.is_graph_input():
        return None
    return value.const_value.numpy()


def scalar(value: ir.Value | None) -> float | None:
    """The number that a one-element constant holds, else None."""
    if value is None or value.const_value is None or value.const_value.size != 1:
        return None
    array = constant(value)
    return None if array is None else float(array.reshape(()))


def constant_ints(value: ir.Value | None) -> tuple[int, ...] | None:
    """The integers that a constant holds, flattened, else None."""
    array = constant(value)
    if array is None or not np.issubdtype(array.dtype, np.integer):
        return None
    return tuple(int(item) for item in array.reshape(-1))


def input_at(node: ir.Node, index: int) -> ir.Value | None:
    """The input at `index`; None where it is left out."""
    return node.inputs[index] if index < len(node.inputs) else None


def int_attribute(node: ir.Node, name: str, default: int) -> int:
    """An integer attribute, or its default."""
    attribute = node.attributes.get(name)
    return default if attribute is None else int(attribute.as_int())


def float_attribute(node: ir.Node, name: str, default: float) -> float:
    """A float attribute, or its default."""
    attribute = node.attributes.get(name)
    return default if attribute is None else float(attribute.as_float())


def ints_attribute(node: ir.Node, name: str) -> tuple[int, ...] | None:
    """An attribute that is a list of integers, or None."""
    attribute = node.attributes.get(name)
    return None if attribute is None else tuple(int(item) for item in attribute.as_ints())


def string_attribute(node: ir.Node, name: str, default: str) -> str:
    """A string attribute, or its default."""
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_string()


def rank(value: ir.Value | None) -> int | None:
    """Number of dimensions, where known."""
    return None if value is None or value.shape is None else len(value.shape)


def is_float(value: ir.Value | None) -> bool:
    """Whether the value is a tensor of 32-bit floats."""
    return value is not None and value.dtype == ir.DataType.FLOAT


def reduced_axes(node: ir.Node) -> tuple[int, ...] | None:
    """The axes that a Reduce operator (opset 18) reduces, not negative and sorted.

    None where they are not constant or the rank of the input is unknown.
    """
    dims = rank(node.inputs[0])
    if dims is None:
        return None
    given = input_at(node, 1)
    axes = constant_ints(given) if given is not None else ()
    if axes is None:
        return None
    if not axes:
        return () if int_attribute(node, "noop_with_empty_axes", 0) else tuple(range(dims))
    return tuple(sorted(axis % dims for axis in axes))


_PARAMETER_NAMES = {1: "weight", 2: "bias"}


class Editor:
    """Adds nodes and constants to a graph and puts values in the place of others.

    New nodes go in front of `anchor`. Names are unique in the graph, and the same edits give the
    same names.
    """

    def __init__(self, graph: ir.Graph) -> None:
        self.graph = graph
        self.anchor: ir.Node | None = None
        self._names: set[str] = set()
        for part in (graph, *graph.subgraphs()):
            self._names.update(part.initializers)
            self._names.update(str(value.name) for value in part.inputs)
            for node in part:
                self._names.add(str(node.name))
                self._names.update(str(output.name) for output in node.outputs)
        self._fresh: set[ir.Value] = set()

    def begin(self, place: ir.Node | ir.Value) -> None:
        """Starts an edit in front of a node, or of the node that makes a value."""
        self.anchor = place if isinstance(place, ir.Node) else place.producer()
        self._fresh = set()

    def op(
        self,
        op_type: str,
        *inputs: Operand,
        domain: str = "",
        **attributes: int | float | str | Sequence[int] | Sequence[float] | ir.TensorProtocol,
    ) -> ir.Value:
        """Adds a node with one output in front of the anchor."""
        return self.ops(op_type, *inputs, outputs=1, domain=domain, **attributes)[0]

    def ops(
        self,
        op_type: str,
        *inputs: Operand,
        outputs: int,
        domain: str = "",
        **attributes: int | float | str | Sequence[int] | Sequence[float] | ir.TensorProtocol,
    ) -> tuple[ir.Value, ...]:
        """Adds a node with several outputs in front of the anchor.

        Values are named as the anchor's with the operator behind, in capitals: the provider makes
        values of its own, `NAME_reshape` for a Conv of one dimension, and refuses the Conv where
        that name is taken.
        """
        assert self.anchor is not None
        base = f"{self.anchor.outputs[0].name}_{op_type}"
        values = [
            self.constant(np.asarray(item), f"{base}_constant")
            if isinstance(item, np.ndarray | np.generic)
            else item
            for item in inputs
        ]
        results = [ir.Value(name=self._unique(base)) for _ in range(outputs)]
        node = ir.node(
            op_type,
            values,
            attributes=attributes,
            domain=domain,
            outputs=results,
            name=self._unique(f"{self.anchor.name}_{op_type}"),
        )
        self.graph.insert_before(self.anchor, node)
        self._fresh.update(results)
        return tuple(results)

    def adopt(self, node: ir.Node) -> None:
        """Puts a node of another graph in front of the anchor, with names of its own."""
        assert self.anchor is not None
        node.name = self._unique(node.name or node.op_type)
        for output in node.outputs:
            output.name = self._unique(output.name or node.op_type)
        self.graph.insert_before(self.anchor, node)
        self._fresh.update(node.outputs)

    def constant(self, array: np.ndarray, name: str) -> ir.Value:
        """Adds a constant."""
        tensor = ir.tensor(np.asarray(array, order="C"), name=self._unique(name))
        value = ir.Value(
            name=tensor.name,
            shape=ir.Shape(array.shape),
            type=ir.TensorType(tensor.dtype),
            const_value=tensor,
        )
        self.graph.register_initializer(value)
        return value

    def set_constant(self, node: ir.Node, index: int, array: np.ndarray) -> None:
        """Gives `node` a constant input, under the name of the old one where only it uses that."""
        node.resize_inputs(max(len(node.inputs), index + 1))
        old = node.inputs[index]
        array = np.asarray(array, order="C")
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
        name, renames = old.name, new in self._fresh or old.is_graph_output()
        old.replace_all_uses_with(new, replace_graph_outputs=True)
        if renames:
            old.name = self._unique(f"{name}_replaced")
            new.name = name

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

    def _unique(self, base: str) -> str:
        name, count = base, 1
        while name in self._names:
            count += 1
            name = f"{base}_{count}"
        self._names.add(name)
        return name


def release_outer_values(node: ir.Node) -> None:
    """Ends the uses that the branches of a control-flow node make of values outside them."""
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH and not attribute.is_ref():
            for inner in attribute.as_graph().all_nodes():
                for index in range(len(inner.inputs)):
                    inner.replace_input_with(index, None)


def remove_dead_nodes(graph: ir.Graph) -> None:
    """Removes every node of which nothing is used, control flow with all that it holds."""
    for node in reversed(graph):
        if is_dead(node):
            release_outer_values(node)
            graph.remove(node, safe=True)


def can_rename(value: ir.Value) -> bool:
    """Whether a value may take the name of a graph output."""
    return not (value.is_graph_input() or value.is_graph_output() or value.is_initializer())


def is_dead(node: ir.Node) -> bool:
    """Whether no output of the node is used."""
    return not any(output.uses() or output.is_graph_output() for output in node.outputs)


def same_shape(left: ir.Value, right: ir.Value) -> bool:
    """Whether both shapes are known and equal."""
    shape = static_shape(left)
    return shape is not None and shape == static_shape(right)


def aligned(array: np.ndarray, shape: Sequence[int], axis: int) -> np.ndarray | None:
    """The vector along `axis` that `array`, broadcast to `shape`, holds; None where it holds more.

    Array `[64, 1, 1]`, shape `[1, 64, 7, 7]`, axis 1 -> `[64]`.
    """
    if array.ndim > len(shape):
        return None
    full = array.reshape((1,) * (len(shape) - array.ndim) + array.shape)
    others = [dim for index, dim in enumerate(full.shape) if index != axis]
    if any(dim != 1 for dim in others) or full.shape[axis] not in (1, shape[axis]):
        return None
    return np.broadcast_to(full.reshape(-1), (shape[axis],))


def constant_operand(node: ir.Node) -> tuple[ir.Value, np.ndarray] | None:
    """The variable and the constant input of a node of two inputs, in either order."""
    left, right = node.inputs[0], node.inputs[1]
    for variable, other in ((left, right), (right, left)):
        array = constant(other)
        if array is not None and variable is not None and constant(variable) is None:
            return variable, array
    return None


def number(value: float) -> np.ndarray:
    """A 32-bit float constant of no dimensions."""
    return np.array(value, np.float32)


def integers(*values: int) -> np.ndarray:
    """A constant list of 64-bit integers."""
    return np.array(values, np.int64)
