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

from snapq.graph.edit import Names, add_constant
from snapq.operators import Role
from snapq.quantization.encodings import Encoding, dequantize, quantize
from snapq.quantization.qdq.block_scales import in_steps
from snapq.quantization.qdq.blockwise import takes_blocks
from snapq.quantization.qdq.decisions import Decision, constant
from snapq.quantization.qdq.parameters import (
    Tuned,
    bias_encoding,
    gemm_scaled,
    raise_for_bias,
    takes,
    weight_encoding,
)
from snapq.quantization.qdq.wide_bias import adds_in_steps, in_npu_steps

__all__ = ["Inserter"]


class Inserter:
    """Puts Q and DQ into one graph, in place.

    Args:
        graph: the main graph.
        encodings: encoding of each tensor that is quantized.
        uses: encoding in which a node reads an input, where that is not the tensor's own; for
            constants in the place of activations, always.
        imposed: encodings of weights by name; one that the node cannot take is not used.
        tuned: weights that algorithms found, by name of the node.
    """

    def __init__(
        self,
        graph: ir.Graph,
        encodings: Mapping[ir.Value, Encoding],
        uses: Mapping[tuple[ir.Node, int], Encoding],
        imposed: Mapping[str, Encoding],
        tuned: Mapping[str, Tuned],
    ) -> None:
        self._graph = graph
        self._encodings = encodings
        self._uses = uses
        self._imposed = imposed
        self._tuned = tuned
        self._names = Names(graph)
        self._integers: dict[ir.Value, tuple[str, ir.Value, ir.Value, ir.Value]] = {}
        self._read: dict[tuple[ir.Value, Encoding], ir.Value] = {}
        self._stored: dict[tuple[ir.Value, Encoding, bytes], ir.Value] = {}
        self._floats: set[ir.Value] = set()
        self._pending: list[ir.Node] = []
        self.written: dict[str, Encoding] = {}
        """Encoding of every tensor that was quantized, constants too, by name."""

    def run(self, decisions: Mapping[ir.Node, Decision]) -> None:
        """Rewrites every node of the graph."""
        nodes = tuple(self._graph)
        for value in tuple(self._graph.inputs):
            if value in self._encodings and value.uses():
                self._quantize(value)
        self._flush_before(nodes[0] if nodes else None)
        for node in nodes:
            self._rewrite_inputs(node, decisions[node])
            self._flush_before(node)
            for value in node.outputs:
                if value in self._encodings:
                    self._quantize_output(node, value)
                if decisions[node].dtype is None:
                    self._floats.add(value)
        self._drop_unused_constants()

    def _rewrite_inputs(self, node: ir.Node, decision: Decision) -> None:
        rule, dtype = decision.rule, decision.dtype
        if rule is None or dtype is None:
            self._read_float(node)
            return
        parameters = self._parameters(node, decision)
        for index, value in enumerate(tuple(node.inputs)):
            if value is None or not rule.role(index).quantized:
                continue
            if index in parameters:
                node.replace_input_with(index, parameters[index])
            elif constant(value) is not None:
                encoding = self._uses[node, index]
                array = np.asarray(_array(value))
                node.replace_input_with(index, self._store(value, array, encoding))
            else:
                encoding = self._uses.get((node, index), self._encodings[value])
                node.replace_input_with(index, self._dequantized(value, encoding))

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
                        index, self._dequantized(value, self._encodings[value])
                    )

    def _quantize_output(self, node: ir.Node, value: ir.Value) -> None:
        name = str(value.name)
        positions = [i for i, output in enumerate(self._graph.outputs) if output is value]
        if positions:
            value.name = self._names.fresh(f"{name}_float")
        self._quantize(value, name)
        if positions:
            _, integers, scale, zero = self._integers[value]
            output = self._node(
                "DequantizeLinear", (integers, scale, zero), name, value, ir.DataType.FLOAT
            )
            for position in positions:
                self._graph.outputs[position] = output
        self._flush_after(node)

    def _quantize(self, value: ir.Value, name: str | None = None) -> None:
        stem = name or str(value.name)
        self._quantize_as(value, value, stem, self._encodings[value])
        self.written[stem] = self._encodings[value]

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
        if encoding != self._encodings[value]:
            own = self._dequantized(value, self._encodings[value])
            stem = self._names.fresh(f"{quantized[0]}_as_{encoding.dtype.value}")
            quantized = self._quantize_as(value, own, stem, encoding)
        stem, integers, scale, zero = quantized
        result = self._node(
            "DequantizeLinear",
            (integers, scale, zero),
            self._names.fresh(f"{stem}_dequantized"),
            value,
            ir.DataType.FLOAT,
        )
        self._read[value, encoding] = result
        return result

    def _parameters(self, node: ir.Node, decision: Decision) -> dict[int, ir.Value]:
        """Weight, scale and bias of a node, stored as integers, by input index."""
        rule, data_type = decision.rule, decision.dtype
        if rule is None or data_type is None:
            return {}
        roles = {rule.role(i): i for i, v in enumerate(node.inputs) if v is not None}
        index = roles.get(Role.WEIGHT, roles.get(Role.SCALE))
        if index is None:
            return {}
        value = node.inputs[index]
        if value is None or constant(value) is None:
            return self._bias_alone(node, roles)
        array = _array(value)
        bias_index = roles.get(Role.BIAS)
        bias_value = node.inputs[bias_index] if bias_index is not None else None
        bias = _array(bias_value) if bias_value is not None else None
        if node.op_type == "Gemm":
            array, bias = gemm_scaled(node, array, bias)
            node.attributes.pop("alpha", None)
            node.attributes.pop("beta", None)
        tuned = self._tuned.get(str(node.name))
        encoding = tuned.encoding if tuned else self._imposed.get(str(value.name))
        if encoding is None or not _fits(encoding, node, decision, array.shape):
            encoding = weight_encoding(array, decision.weights, decision.granularity, data_type)
        if tuned and tuned.bias is not None and bias is not None:
            bias = tuned.bias
        if bias is None or bias_value is None or bias_index is None:
            return {index: self._store(value, _rounded(array, encoding, tuned), encoding)}
        data = node.inputs[0]
        read = self._uses.get((node, 0), self._encodings[data]) if data else None
        if read is None:
            return {index: self._store(value, _rounded(array, encoding, tuned), encoding)}
        encoding = raise_for_bias(encoding, bias, read.scale)
        weight = _rounded(array, encoding, tuned)
        if adds_in_steps(node.op_type, read, encoding):
            bias = in_npu_steps(bias, node, quantize(weight, encoding), encoding.scale, read)
        return {
            index: self._store(value, weight, encoding),
            bias_index: self._store(bias_value, bias, bias_encoding(encoding, read.scale)),
        }

    def _bias_alone(self, node: ir.Node, roles: Mapping[Role, int]) -> dict[int, ir.Value]:
        """The bias of a node whose weight is computed: scales of both are known all the same."""
        index = roles.get(Role.BIAS)
        bias = node.inputs[index] if index is not None else None
        data, weight = node.inputs[0], node.inputs[1]
        if index is None or bias is None or data is None or weight is None:
            return {}
        scale = self._uses.get((node, 0), self._encodings[data]).scale
        other = self._uses.get((node, 1), self._encodings[weight])
        return {index: self._store(bias, _array(bias), bias_encoding(other, scale))}

    def _store(
        self, value: ir.Value, array: npt.NDArray[np.float32], encoding: Encoding
    ) -> ir.Value:
        """A constant as integers and a DQ; nodes that store it alike share both."""
        integers = quantize(array, encoding)
        key = (value, encoding, integers.tobytes())
        if key not in self._stored:
            stem = self._names.fresh(str(value.name), also=("_quantized", "_scale", "_dequantized"))
            held = self._constant(f"{stem}_quantized", integers, encoding.dtype.dtype)
            scale, zero = self._encode(stem, encoding)
            attributes = {} if encoding.axis is None else {"axis": encoding.axis}
            if encoding.block:
                attributes["block_size"] = encoding.block
            like = ir.Value(name=stem, shape=ir.Shape(array.shape))
            self._stored[key] = self._node(
                "DequantizeLinear",
                (held, scale, zero),
                f"{stem}_dequantized",
                like,
                ir.DataType.FLOAT,
                attributes,
            )
            self.written[stem] = encoding
        return self._stored[key]

    def _encode(self, stem: str, encoding: Encoding) -> tuple[ir.Value, ir.Value]:
        scale = self._constant(
            self._names.fresh(f"{stem}_scale"), encoding.scale, ir.DataType.FLOAT
        )
        zero = self._constant(
            self._names.fresh(f"{stem}_zero_point"), encoding.zero_point, encoding.dtype.dtype
        )
        return scale, zero

    def _constant(self, name: str, array: npt.NDArray[np.generic], dtype: ir.DataType) -> ir.Value:
        self._names.take(name)
        return add_constant(self._graph, name, array, dtype)

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
        if node is not None and self._pending:
            self._graph.insert_before(node, self._pending)
        elif self._pending:
            self._graph.extend(self._pending)
        self._pending = []

    def _flush_after(self, node: ir.Node) -> None:
        if self._pending:
            self._graph.insert_after(node, self._pending)
        self._pending = []

    def _drop_unused_constants(self) -> None:
        for name, value in tuple(self._graph.initializers.items()):
            if not value.uses() and not value.is_graph_output():
                del self._graph.initializers[name]


def _fits(encoding: Encoding, node: ir.Node, decision: Decision, shape: tuple[int, ...]) -> bool:
    """Whether the NPU takes a node's weight in an encoding that was found or given for it."""
    if not encoding.block:
        return takes(encoding, decision.weights, decision.granularity, shape)
    wide = decision.dtype is not None and decision.dtype.bits > 8
    held = encoding.dtype is decision.weights and in_steps(encoding) is not None
    return wide and held and takes_blocks(node, encoding.block)


def _rounded(
    array: npt.NDArray[np.float32], encoding: Encoding, tuned: Tuned | None
) -> npt.NDArray[np.float32]:
    """The weight as it shall be stored: as tuned, where its encoding did not have to change."""
    if tuned is None or tuned.encoding != encoding:
        return array
    return dequantize(tuned.integers, encoding)


def _array(value: ir.Value) -> npt.NDArray[np.float32]:
    tensor = value.const_value
    return np.asarray(tensor.numpy() if tensor is not None else 0.0, np.float32)


def _graphs(attribute: ir.Attr) -> tuple[ir.Graph, ...]:
    if attribute.type is ir.AttributeType.GRAPH:
        return (attribute.as_graph(),)
    if attribute.type is ir.AttributeType.GRAPHS:
        return tuple(attribute.as_graphs())
    return ()
