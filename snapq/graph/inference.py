"""Shape inference: ONNX's own, on the model without its weights.

`onnx_ir.passes.common.ShapeInferencePass` (1.1.0) does the same and finds the same shapes in eight
models and a hundred small ones, but for three things: it gives a sequence the type of its elements,
which ONNX Runtime refuses; it moves large weights behind small ones, so that files differ; and it
takes 1.6 times as long, as it reads back the whole model and not its types alone.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx
import onnx_ir as ir

__all__ = ["infer_shapes"]

_SMALL = 1000
"""Bytes; constants up to this size may be shapes or indices, whose values inference needs."""


def infer_shapes(model: ir.Model) -> None:
    """Infers shapes and types in place with ONNX's own inference; what it cannot know stays.

    Subgraphs too. A model that inference does not understand stays as it is.
    """
    try:
        inferred = onnx.shape_inference.infer_shapes(_without_weights(model), data_prop=True)
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError, TypeError):
        return
    _record(model.graph, inferred.graph)


def _without_weights(model: ir.Model) -> onnx.ModelProto:
    """The model with large weights as inputs: their shapes are enough."""
    graph = model.graph
    constants = [v for v in graph.initializers.values() if v.const_value is not None]
    small = [value for value in constants if value.const_value.nbytes <= _SMALL]  # type: ignore[union-attr]
    proto = onnx.GraphProto(
        name=graph.name or "graph",
        node=[_node(node) for node in graph],
        initializer=[_tensor(value) for value in small],
        input=[_as_input(value) for value in dict.fromkeys((*graph.inputs, *constants))],
        output=[ir.serde.serialize_value(value) for value in graph.outputs],
        value_info=[
            ir.serde.serialize_value(value)
            for node in graph
            for value in node.outputs
            if value.type is not None and not value.is_graph_output()
        ],
    )
    opsets = [onnx.helper.make_opsetid(*item) for item in model.opset_imports.items()]
    functions = [ir.serde.serialize_function(one) for one in model.functions.values()]
    return onnx.ModelProto(
        ir_version=model.ir_version, graph=proto, opset_import=opsets, functions=functions
    )


def _node(node: ir.Node) -> onnx.NodeProto:
    """The node; an STFT says that it is one-sided, which inference forgets (ONNX 1.23)."""
    proto = ir.serde.serialize_node(node)
    if node.op_type == "STFT" and node.domain == "" and "onesided" not in node.attributes:
        proto.attribute.append(onnx.helper.make_attribute("onesided", 1))
    return proto


def _tensor(value: ir.Value) -> onnx.TensorProto:
    tensor = value.const_value
    assert tensor is not None
    named = ir.serde.serialize_tensor(tensor)
    named.name = str(value.name)
    return named


def _as_input(value: ir.Value) -> onnx.ValueInfoProto:
    tensor = value.const_value
    if tensor is not None and (value.shape is None or value.type is None):
        value.shape, value.type = ir.Shape(tensor.shape.numpy()), ir.TensorType(tensor.dtype)
    return ir.serde.serialize_value(value)


def _record(graph: ir.Graph, inferred: onnx.GraphProto) -> None:
    """Gives the values of a graph, and of the graphs inside, the shapes and types found."""
    found = {info.name: info.type for info in (*inferred.value_info, *inferred.output)}
    for value in (*graph.inputs, *(value for node in graph for value in node.outputs)):
        kind = found.get(str(value.name))
        if kind is None or not kind.HasField("tensor_type"):
            if kind is not None and value.type is None:
                value.type = ir.serde.deserialize_type_proto_for_type(kind)
            continue
        if kind.tensor_type.elem_type:
            dtype = ir.DataType(kind.tensor_type.elem_type)
            if value.dtype != dtype:
                value.type = ir.TensorType(dtype)
        if kind.tensor_type.HasField("shape"):
            shape = ir.serde.deserialize_type_proto_for_shape(kind)
            if shape != value.shape:
                value.shape = shape
    for node, proto in zip(graph, inferred.node, strict=True):
        for inner, inner_proto in zip(_graphs(node), _graph_protos(proto), strict=True):
            _record(inner, inner_proto)


def _graphs(node: ir.Node) -> Iterator[ir.Graph]:
    for attribute in node.attributes.values():
        if attribute.type is ir.AttributeType.GRAPH:
            yield attribute.as_graph()
        elif attribute.type is ir.AttributeType.GRAPHS:
            yield from attribute.as_graphs()


def _graph_protos(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        elif attribute.type == onnx.AttributeProto.GRAPHS:
            yield from attribute.graphs
