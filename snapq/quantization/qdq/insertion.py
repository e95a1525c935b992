"""Writes QuantizeLinear and DequantizeLinear into a graph, node unit by node unit.

Names: tensor `t` is held as `t_quantized` and read back as `t_dequantized`; its parameters are
`t_scale` and `t_zero_point`. A second encoding of a tensor for some of its readers is
`t_as_TYPE_quantized` and so on. Graph outputs keep their names and types; what the node gave before
it was quantized is `t_float`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.graph.edit import Names, add_constant, remove_unused_constants
from snapq.quantization.encodings import Encoding, quantize
from snapq.quantization.qdq.decisions import Decision, array, constant
from snapq.quantization.qdq.plan import QdqPlan

__all__ = ["Inserter"]

_Stored = tuple[npt.NDArray[np.generic], ir.Value]
"""The integers of a constant, and what their DQ gives."""


class Inserter:
    """Puts Q and DQ into the main graph of the model of a finished plan, in place."""

    def __init__(self, plan: QdqPlan) -> None:
        self._plan = plan
        self._graph = plan.graph
        self._names = Names(plan.graph)
        self._integers: dict[ir.Value, tuple[str, ir.Value, ir.Value, ir.Value]] = {}
        self._read: dict[tuple[ir.Value, Encoding], ir.Value] = {}
        self._stored: dict[tuple[ir.Value, Encoding], list[_Stored]] = {}
        self._floats: set[ir.Value] = set()
        self._pending: list[ir.Node] = []
        self.written: dict[str, Encoding] = {}
        """Encoding of every tensor that was quantized, constants too, by name."""

    def run(self) -> None:
        """Rewrites every node of the graph."""
        nodes, encodings = tuple(self._graph), self._plan.encodings
        for value in tuple(self._graph.inputs):
            if value in encodings and value.uses():
                self._quantize(value)
        self._flush_before(nodes[0] if nodes else None)
        for node in nodes:
            decision = self._plan.decisions[node]
            self._rewrite_inputs(node, decision)
            self._flush_before(node)
            for value in node.outputs:
                if value in encodings:
                    self._quantize_output(node, value)
                if decision.dtype is None:
                    self._floats.add(value)
        remove_unused_constants(self._graph)

    def _rewrite_inputs(self, node: ir.Node, decision: Decision) -> None:
        rule = decision.rule
        if rule is None or decision.dtype is None:
            self._read_float(node)
            return
        inputs, held = tuple(node.inputs), self._plan.stored.get(node, {})
        found = {
            index: self._store(value, one.values, one.encoding)
            for index, one in held.items()
            if (value := inputs[index]) is not None
        }
        for index, value in enumerate(inputs):
            if value is None or not rule.role(index).quantized:
                continue
            if index not in found:
                encoding = self._plan.read(node, index)
                assert encoding is not None
                found[index] = (
                    self._store(value, array(value), encoding)
                    if constant(value) is not None
                    else self._dequantized(value, encoding)
                )
            node.replace_input_with(index, found[index])

    def _read_float(self, node: ir.Node) -> None:
        """A float node, and what graphs it holds, read back what quantized nodes and inputs give.

        What another float node gives, it reads as it is.
        """
        inside = [
            inner
            for attribute in node.attributes.values()
            for graph in _graphs(attribute)
            for inner in graph.all_nodes()
        ]
        for reader in (node, *inside):
            for index, value in enumerate(tuple(reader.inputs)):
                if value is not None and value in self._integers and value not in self._floats:
                    reader.replace_input_with(
                        index, self._dequantized(value, self._plan.encodings[value])
                    )

    def _quantize_output(self, node: ir.Node, value: ir.Value) -> None:
        name = str(value.name)
        positions = [i for i, output in enumerate(self._graph.outputs) if output is value]
        if positions:
            value.name = self._names.fresh(f"{name}_float")
        self._quantize(value, name)
        if positions:
            output = self._dequantize(self._integers[value][1:], name, value)
            for position in positions:
                self._graph.outputs[position] = output
        self._graph.insert_after(node, self._pending)
        self._pending = []

    def _quantize(self, value: ir.Value, name: str | None = None) -> None:
        stem = name or str(value.name)
        self._quantize_as(value, value, stem, self._plan.encodings[value])
        self.written[stem] = self._plan.encodings[value]

    def _quantize_as(
        self, key: ir.Value, value: ir.Value, stem: str, encoding: Encoding
    ) -> tuple[str, ir.Value, ir.Value, ir.Value]:
        scale, zero = self._encode(stem, encoding)
        integers = self._node(
            "QuantizeLinear",
            (value, scale, zero),
            self._names.fresh(f"{stem}_quantized"),
            value,
            encoding.dtype.dtype,
        )
        quantized = (stem, integers, scale, zero)
        if key is value:
            self._integers[key] = quantized
        return quantized

    def _dequantized(self, value: ir.Value, encoding: Encoding) -> ir.Value:
        """The value read back, through a second Q where a reader wants another encoding."""
        if (value, encoding) in self._read:
            return self._read[value, encoding]
        quantized = self._integers[value]
        if encoding != self._plan.encodings[value]:
            own = self._dequantized(value, self._plan.encodings[value])
            stem = self._names.fresh(f"{quantized[0]}_as_{encoding.dtype.value}")
            quantized = self._quantize_as(value, own, stem, encoding)
        stem, given = quantized[0], quantized[1:]
        result = self._dequantize(given, self._names.fresh(f"{stem}_dequantized"), value)
        self._read[value, encoding] = result
        return result

    def _dequantize(
        self,
        given: tuple[ir.Value, ...],
        output: str,
        like: ir.Value,
        attributes: Mapping[str, int] | None = None,
    ) -> ir.Value:
        """A DQ node of integers, scale and zero point; returns what it gives."""
        return self._node("DequantizeLinear", given, output, like, ir.DataType.FLOAT, attributes)

    def _store(
        self, value: ir.Value, real: npt.NDArray[np.float32], encoding: Encoding
    ) -> ir.Value:
        """A constant as integers and a DQ; nodes that store it alike share both."""
        integers = quantize(real, encoding)
        alike = self._stored.setdefault((value, encoding), [])
        found = next((read for held, read in alike if np.array_equal(held, integers)), None)
        if found is None:
            stem = self._names.fresh(str(value.name), also=("_quantized", "_scale", "_dequantized"))
            held = self._constant(f"{stem}_quantized", integers, encoding.dtype.dtype)
            scale, zero = self._encode(stem, encoding)
            attributes = {} if encoding.axis is None else {"axis": encoding.axis}
            if encoding.block:
                attributes["block_size"] = encoding.block
            like = ir.Value(name=stem, shape=ir.Shape(real.shape))
            given = (held, scale, zero)
            found = self._dequantize(given, f"{stem}_dequantized", like, attributes)
            alike.append((integers, found))
            self.written[stem] = encoding
        return found

    def _encode(self, stem: str, encoding: Encoding) -> tuple[ir.Value, ir.Value]:
        scale = self._constant(
            self._names.fresh(f"{stem}_scale"), encoding.scale, ir.DataType.FLOAT
        )
        zero = self._constant(
            self._names.fresh(f"{stem}_zero_point"), encoding.zero_point, encoding.dtype.dtype
        )
        return scale, zero

    def _constant(self, name: str, values: npt.NDArray[np.generic], dtype: ir.DataType) -> ir.Value:
        self._names.take(name)
        return add_constant(self._graph, name, values, dtype)

    def _node(
        self,
        op_type: str,
        inputs: tuple[ir.Value, ...],
        output: str,
        like: ir.Value,
        dtype: ir.DataType,
        attributes: Mapping[str, int] | None = None,
    ) -> ir.Value:
        """A Q or DQ node, placed when the nodes around it are; returns what it gives."""
        self._names.take(output)
        result = ir.Value(name=output, shape=like.shape, type=ir.TensorType(dtype))
        node = ir.node(
            op_type,
            inputs,
            attributes=attributes,
            outputs=[result],
            name=self._names.fresh_node(f"{output}_{op_type}"),
        )
        self._pending.append(node)
        return result

    def _flush_before(self, node: ir.Node | None) -> None:
        if node is not None:
            self._graph.insert_before(node, self._pending)
        else:
            self._graph.extend(self._pending)
        self._pending = []


def _graphs(attribute: ir.Attr) -> tuple[ir.Graph, ...]:
    if attribute.type is ir.AttributeType.GRAPH:
        return (attribute.as_graph(),)
    if attribute.type is ir.AttributeType.GRAPHS:
        return tuple(attribute.as_graphs())
    return ()
