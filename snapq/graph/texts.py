"""Whether the texts of an ONNX file are texts.

Protobuf gives bytes where a name is not UTF-8, and whatever handles names fails on them anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx

__all__ = ["has_only_text"]


def has_only_text(proto: onnx.ModelProto) -> bool:
    """Whether every name in a model is UTF-8; weights are not looked at."""
    return all(isinstance(text, str) for text in _texts(proto))


def _texts(proto: onnx.ModelProto) -> Iterator[object]:
    yield from (entry.domain for entry in proto.opset_import)
    yield from _of_graph(proto.graph)
    for function in proto.functions:
        yield from (function.name, function.domain, *function.input, *function.output)
        yield from function.attribute
        yield from (entry.domain for entry in function.opset_import)
        yield from _of_nodes(function.node)
        yield from _of_values(function.value_info)


def _of_graph(graph: onnx.GraphProto) -> Iterator[object]:
    yield graph.name
    yield from _of_nodes(graph.node)
    for tensor in graph.initializer:
        yield from _of_tensor(tensor)
    for sparse in graph.sparse_initializer:
        yield from _of_tensor(sparse.values)
        yield from _of_tensor(sparse.indices)
    for values in (graph.input, graph.output, graph.value_info):
        yield from _of_values(values)


def _of_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[object]:
    for node in nodes:
        yield from (node.op_type, node.domain, node.name, node.overload, *node.input, *node.output)
        for attribute in node.attribute:
            yield attribute.name
            yield attribute.ref_attr_name
            if attribute.HasField("t"):
                yield from _of_tensor(attribute.t)
            for tensor in attribute.tensors:
                yield from _of_tensor(tensor)
            if attribute.HasField("g"):
                yield from _of_graph(attribute.g)
            for graph in attribute.graphs:
                yield from _of_graph(graph)


def _of_tensor(tensor: onnx.TensorProto) -> Iterator[object]:
    yield tensor.name
    for entry in tensor.external_data:
        yield from (entry.key, entry.value)


def _of_values(values: Iterable[onnx.ValueInfoProto]) -> Iterator[object]:
    for value in values:
        yield value.name
        for dimension in value.type.tensor_type.shape.dim:
            yield dimension.dim_param
