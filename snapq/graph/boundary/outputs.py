"""Gives one output of a finished model its planned type and layout."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir

from snapq.errors import ModelError
from snapq.graph.boundary.quantize_nodes import (
    DEQUANTIZE,
    QUANTIZE,
    TensorEncoding,
    encoding_of,
    linear_node,
    numpy_name,
    transpose_node,
    transpose_unit,
)
from snapq.graph.boundary.values import Boundary, OutputBoundary, channels_last
from snapq.graph.edit import free_name
from snapq.graph.shapes import static_shape


def planned_output(value: ir.Value, boundary: Boundary) -> OutputBoundary:
    """What the boundary wants of an output, before the graph has its say.

    Raises:
        ModelError: the shape of the output is not known.
    """
    shape = static_shape(value)
    if shape is None:
        producer = value.producer()
        source = f"{producer.op_type} '{producer.name}'" if producer is not None else "the graph"
        raise ModelError(
            f"The shape of this output, which comes from {source}, does not follow from the shapes "
            "of the inputs.",
            where=str(value.name),
            hint="The NPU needs fixed shapes: make this part of the model constant, or cut it out.",
        )
    nhwc = boundary.gives_nhwc and len(shape) == 4
    return OutputBoundary(
        str(value.name),
        numpy_name(value),
        shape,
        quantized=boundary.gives_codes,
        permutation=channels_last(4, 1) if nhwc else None,
    )


def apply_output(graph: ir.Graph, index: int, item: OutputBoundary) -> OutputBoundary:
    """Changes the output at `index` in place and returns what became of the plan."""
    value = graph.outputs[index]
    producer = value.producer()
    encoding = None
    if producer is not None and producer.op_type == DEQUANTIZE:
        encoding = encoding_of(producer)
    if item.quantized and encoding is not None and producer is not None:
        codes = producer.inputs[0]
        assert codes is not None
        if codes.producer() is not None and codes not in graph.outputs:
            return _give_codes(graph, index, item, encoding, producer, codes)
    floats = replace(item, quantized=False, dtype=numpy_name(value), scale=None, zero_point=None)
    if item.permutation is not None and producer is not None:
        _give_other_layout(graph, index, item, encoding, producer)
        return floats
    return replace(floats, permutation=None)


def _give_codes(
    graph: ir.Graph,
    index: int,
    item: OutputBoundary,
    encoding: TensorEncoding,
    dequantizer: ir.Node,
    codes: ir.Value,
) -> OutputBoundary:
    """Makes the codes that `dequantizer` reads the output."""
    value = graph.outputs[index]
    codes.type, codes.shape = ir.TensorType(encoding.dtype), ir.Shape(item.model_shape)
    scale, zero_point = encoding.numbers
    done = replace(item, dtype=encoding.dtype.numpy().name, scale=scale, zero_point=zero_point)
    value.name = free_name(graph, f"{item.name}_dequantized")
    if item.permutation is not None:
        order = tuple(int(axis) for axis in np.argsort(item.permutation))
        unit = transpose_unit(graph, codes, encoding, order, at=item.name)
        graph.insert_after(dequantizer, unit)
        codes = unit[-1].outputs[0]
    graph.outputs[index] = codes
    codes.name = item.name
    if not value.uses() and value not in graph.outputs:
        graph.remove(dequantizer, safe=True)
    return done


def _give_other_layout(
    graph: ir.Graph,
    index: int,
    item: OutputBoundary,
    encoding: TensorEncoding | None,
    producer: ir.Node,
) -> None:
    """Puts a Transpose after a float output; before its DequantizeLinear where it has one."""
    value = graph.outputs[index]
    assert item.permutation is not None
    order = [int(axis) for axis in np.argsort(item.permutation)]
    value.name = free_name(graph, f"{item.name}_as_is")
    nodes = [transpose_node(graph, value, order)]
    if encoding is not None:
        for op, what in ((QUANTIZE, "requantized"), (DEQUANTIZE, "float")):
            source = nodes[-1].outputs[0]
            nodes.append(linear_node(graph, op, f"{item.name}_{what}", source, encoding))
    graph.insert_after(producer, nodes)
    graph.outputs[index] = nodes[-1].outputs[0]
    graph.outputs[index].name = item.name
