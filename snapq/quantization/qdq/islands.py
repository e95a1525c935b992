"""Keeps a float node float between its DQ and Q nodes.

The provider takes DQ, node, Q for a quantized unit, also where the NPU's integer kernel is wrong or
the user wants float. Such a node gets a Cast to float16 in front and one back behind, which the
provider does not look through (a Mul or an Identity it does; simulator of QAIRT 2.51, a Log of 16
bits).

A convolution or Gemm with float weights is no such unit. But ONNX Runtime (1.32, by default, on the
CPU as well) quantizes float weights behind a DQ to 8 bits with one scale, where a Q follows later;
it does not where the data passes a Cast to float16 and one back first, which cost the NPU nothing.
It moves a DQ behind what only moves numbers, or takes the largest, so that counts as a DQ too.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Names, producer
from snapq.operators import Encodings, Trait, having, quantized
from snapq.quantization.qdq.decisions import KEPT_FLOAT, constant, is_float

__all__ = ["separate"]


_WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm"})
"""The operators whose float weights ONNX Runtime quantizes."""
_MOVED = (*having(Trait.MOVES), *having(Trait.RESHAPES), "MaxPool")


def separate(graph: ir.Graph) -> None:
    """Puts casts around each lone float node that would be taken for a quantized unit, in place.

    Where a node has float weights, both casts stand in front of it.
    """
    names = Names(graph)
    for node in tuple(graph):
        if KEPT_FLOAT not in node.metadata_props:
            continue
        if _has_float_weights(node):
            _pass_casts(graph, node, names)
        elif _looks_quantized(node):
            _enclose(graph, node, names)


def _pass_casts(graph: ir.Graph, node: ir.Node, names: Names) -> None:
    value = node.inputs[0]
    assert value is not None
    narrow = _cast(value, ir.DataType.FLOAT16, names)
    back = _cast(narrow.outputs[0], ir.DataType.FLOAT, names)
    graph.insert_before(node, [narrow, back])
    node.replace_input_with(0, back.outputs[0])


def _enclose(graph: ir.Graph, node: ir.Node, names: Names) -> None:
    for value in dict.fromkeys(v for v in node.inputs if v and _is_read_back(v)):
        cast = _cast(value, ir.DataType.FLOAT16, names)
        graph.insert_before(node, cast)
        for index, given in enumerate(tuple(node.inputs)):
            if given is value:
                node.replace_input_with(index, cast.outputs[0])
    output = node.outputs[0]
    users = tuple(output.uses())
    output.type = ir.TensorType(ir.DataType.FLOAT16)
    back = _cast(output, ir.DataType.FLOAT, names)
    graph.insert_after(node, back)
    for user, index in users:
        user.replace_input_with(index, back.outputs[0])


def _has_float_weights(node: ir.Node) -> bool:
    if node.op_type not in _WEIGHTED:
        return False
    data, weight = node.inputs[:2]
    held = constant(weight) is not None and is_float(weight)
    return held and _is_read_back_or_moved(data)


def _is_read_back_or_moved(value: ir.Value | None) -> bool:
    while (maker := producer(value, *_MOVED)) is not None:
        value = maker.inputs[0]
    return producer(value, "DequantizeLinear") is not None


def _looks_quantized(node: ir.Node) -> bool:
    rule = quantized(node)
    if rule is None or rule.encodings is Encodings.READ or len(node.outputs) != 1:
        return False
    data = [v for i, v in enumerate(node.inputs) if v is not None and rule.role(i).quantized]
    plain = [v for v in node.inputs if v is not None and v not in data]
    output = node.outputs[0]
    users = [user.op_type for user, _ in output.uses()]
    return (
        all(_is_read_back(value) for value in data)
        and not any(is_float(value) for value in plain)
        and not output.is_graph_output()
        and set(users) == {"QuantizeLinear"}
    )


def _is_read_back(value: ir.Value) -> bool:
    producer = value.producer()
    return producer is not None and producer.op_type == "DequantizeLinear"


def _cast(value: ir.Value, dtype: ir.DataType, names: Names) -> ir.Node:
    stem = f"{value.name}_{dtype.name.lower()}"
    node = ir.node(
        "Cast", [value], attributes={"to": dtype.value}, name=names.fresh_node(f"{stem}_Cast")
    )
    result = node.outputs[0]
    result.name = names.fresh_value(stem)
    result.shape, result.type = value.shape, ir.TensorType(dtype)
    return node
