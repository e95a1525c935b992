"""The float model in which one tensor alone is rounded to its encoding."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.graph.edit import add_constant, free_name, insert_before_uses, new_node
from snapq.quantization.encodings import Encoding, dequantize, quantize
from snapq.quantization.qdq.lowering.order import lower
from snapq.quantization.qdq.scheme import Scheme

__all__ = ["alone", "lowered"]


def lowered(model: ir.Model) -> ir.Model:
    """The float model as the quantizer names its tensors."""
    return lower(model, Scheme()).model


def alone(
    model: ir.Model, name: str, encoding: Encoding, values: npt.NDArray[np.generic] | None = None
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
    stem, held = str(value.name), encoding.dtype.dtype
    scale = add_constant(graph, free_name(graph, f"{stem}_scale"), encoding.scale)
    zero = free_name(graph, f"{stem}_zero_point")
    parameters = [scale, add_constant(graph, zero, encoding.zero_point, held)]
    nodes, source = [], value
    for op_type, dtype in (("QuantizeLinear", held), ("DequantizeLinear", ir.DataType.FLOAT)):
        nodes.append(new_node(graph, op_type, f"{stem}_{op_type}", [source, *parameters], {}))
        source = nodes[-1].outputs[0]
        source.shape, source.type = value.shape, ir.TensorType(dtype)
    insert_before_uses(graph, value, nodes)
    for position, output in enumerate(tuple(graph.outputs)):
        if output is value:
            value.name = free_name(graph, f"{stem}_float")
            source.name = stem
            graph.outputs[position] = source
