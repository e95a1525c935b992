"""The float model in which one tensor alone is rounded to its encoding."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.graph.edit import Names, add_constant
from snapq.quantization.encodings import Encoding, dequantize, quantize
from snapq.quantization.qdq.lowering.order import lower
from snapq.quantization.qdq.scheme import Scheme

__all__ = ["alone", "lowered"]


def lowered(model: ir.Model) -> ir.Model:
    """The float model as the quantizer names its tensors."""
    return lower(model, Scheme()).model


def alone(
    model: ir.Model,
    name: str,
    encoding: Encoding,
    values: npt.NDArray[np.generic] | None = None,
) -> ir.Model:
    """A copy of the float model in which one tensor is rounded.

    Args:
        model: the prepared float model.
        name: an activation, which gets Q and DQ behind it, or a constant, whose values are rounded.
        encoding: how to round.
        values: what a constant is rounded to, where that is not the nearest.

    Raises:
        KeyError: the main graph has no such tensor.
    """
    copy = lowered(model)
    graph = copy.graph
    constant = graph.initializers.get(name)
    if constant is not None and constant.const_value is not None:
        array = np.asarray(constant.const_value.numpy(), np.float32)
        if values is None:
            values = dequantize(quantize(array, encoding), encoding)
        rounded = np.asarray(values, np.float32).reshape(array.shape)
        constant.const_value = ir.Tensor(rounded, name=name)
        return copy
    computed = (*graph.inputs, *(value for node in graph for value in node.outputs))
    _round(graph, {str(value.name): value for value in computed}[name], encoding)
    return copy


def _round(graph: ir.Graph, value: ir.Value, encoding: Encoding) -> None:
    """Puts Q and DQ behind a value, in front of all its readers and of the output."""
    names = Names(graph)
    users = tuple(value.uses())
    stem = str(value.name)
    held = encoding.dtype.dtype
    parameters = []
    for part, array, dtype in (
        ("scale", encoding.scale, ir.DataType.FLOAT),
        ("zero_point", encoding.zero_point, held),
    ):
        parameters.append(add_constant(graph, _fresh(names, f"{stem}_{part}"), array, dtype))
    nodes = []
    source = value
    for op_type, dtype in (("QuantizeLinear", held), ("DequantizeLinear", ir.DataType.FLOAT)):
        result = ir.Value(
            name=_fresh(names, f"{stem}_{op_type}"), shape=value.shape, type=ir.TensorType(dtype)
        )
        name = names.fresh_node(f"{stem}_{op_type}")
        nodes.append(ir.node(op_type, [source, *parameters], outputs=[result], name=name))
        source = result
    producer = value.producer()
    if producer is None:
        graph.insert_before(graph[0], nodes)
    else:
        graph.insert_after(producer, nodes)
    for user, index in users:
        user.replace_input_with(index, source)
    for position, output in enumerate(tuple(graph.outputs)):
        if output is value:
            value.name = names.fresh(f"{stem}_float")
            source.name = stem
            graph.outputs[position] = source


def _fresh(names: Names, wanted: str) -> str:
    name = names.fresh(wanted)
    names.take(name)
    return name
