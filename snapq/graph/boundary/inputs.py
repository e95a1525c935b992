"""Gives one input of a finished model its planned type and layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import onnx_ir as ir

from snapq.errors import ModelError
from snapq.graph.boundary.ids import feed_in_32_bits
from snapq.graph.boundary.quantize_nodes import (
    DEQUANTIZE,
    QUANTIZE,
    TensorEncoding,
    encoding_of,
    linear_node,
    numpy_name,
    same_encoding,
    transpose_node,
    transpose_unit,
)
from snapq.graph.boundary.values import InputBoundary
from snapq.graph.edit import new_constant, prepend
from snapq.graph.shapes import static_shape


def apply_input(
    graph: ir.Graph, value: ir.Value, item: InputBoundary, notes: list[str]
) -> InputBoundary:
    """Changes the input `value` in place and returns what became of the plan.

    Args:
        graph: the graph that is edited.
        value: the input.
        item: what is planned for it.
        notes: takes a sentence where the plan cannot be had.

    Raises:
        ModelError: an image input is an output too.
    """
    if value in graph.outputs:
        _refuse_change(item)
        return replace(item, quantized=False, dtype=numpy_name(value), permutation=None)
    if item.quantized:
        encoding = _planned(graph, item, value) if item.raw else _declared(value)
        if encoding is not None:
            return _feed_codes(graph, value, item, encoding)
        notes.append(
            f"Input '{item.name}' stays float: the model does not quantize it in one way only."
        )
    if item.is_narrower and value.dtype is ir.DataType.INT64:
        feed_in_32_bits(graph, value)
    floats = replace(item, quantized=False, dtype=numpy_name(value), scale=None, zero_point=None)
    if item.permutation is not None:
        _feed_other_layout(graph, value, item.permutation)
    return floats


def _refuse_change(item: InputBoundary) -> None:
    if item.raw or (item.image is not None and item.permutation is not None):
        raise ModelError(
            "This image input is an output of the model too, so it cannot take raw pixels.",
            where=item.name,
            hint="Remove it from the outputs, or write `io: {dtype: float, layout: as-is}`.",
        )


def _planned(graph: ir.Graph, item: InputBoundary, value: ir.Value) -> TensorEncoding:
    """The planned encoding: the graph's own constants where it has them."""
    assert item.scale is not None
    assert item.zero_point is not None
    for node in _quantizers(value):
        found = encoding_of(node)
        if found is not None and found.dtype == ir.DataType.UINT8:
            scale, zero_point = found.numbers
            if np.isclose(scale, item.scale, rtol=1e-6, atol=0) and zero_point == item.zero_point:
                return found
    dtype = (value.dtype or ir.DataType.FLOAT).numpy()
    return TensorEncoding(
        new_constant(graph, f"{item.name}_scale", np.asarray(item.scale, dtype)),
        new_constant(graph, f"{item.name}_zero_point", np.asarray(item.zero_point, np.uint8)),
        ir.DataType.UINT8,
    )


def _declared(value: ir.Value) -> TensorEncoding | None:
    """The one encoding with which the graph quantizes an input; None where it is not one."""
    found = [encoding_of(node) for node in _quantizers(value)]
    first = found[0] if found else None
    if first is None or len(found) != len(value.uses()):
        return None
    alike = all(other is not None and same_encoding(first, other) for other in found)
    return first if alike else None


def _feed_codes(
    graph: ir.Graph, value: ir.Value, item: InputBoundary, encoding: TensorEncoding
) -> InputBoundary:
    """Makes `value` an input of codes in the package's layout."""
    users = list(value.uses())
    quantizers = _alike(value, encoding)
    others = [(node, index) for node, index in users if node not in quantizers]
    value.type, value.shape = ir.TensorType(encoding.dtype), ir.Shape(item.shape)
    chain: list[ir.Node] = []
    codes = value
    if item.permutation is not None and (quantizers or not others):
        chain += transpose_unit(graph, value, encoding, item.permutation)
        codes = chain[-1].outputs[0]
    if others:
        chain.append(linear_node(graph, DEQUANTIZE, f"{item.name}_dequantized", codes, encoding))
        if codes is value and item.permutation is not None:
            # Where no QuantizeLinear follows, the Transpose needs no unit of its own.
            chain.append(transpose_node(graph, chain[-1].outputs[0], item.permutation))
        for node, index in others:
            node.replace_input_with(index, chain[-1].outputs[0])
    _replace(graph, quantizers, codes)
    prepend(graph, chain)
    scale, zero_point = encoding.numbers
    return replace(item, dtype=encoding.dtype.numpy().name, scale=scale, zero_point=zero_point)


def _feed_other_layout(graph: ir.Graph, value: ir.Value, permutation: tuple[int, ...]) -> None:
    """Puts a Transpose between a float input of the package's layout and its users.

    It moves codes where the graph quantizes the input, which are cheaper to move.
    """
    shape = static_shape(value) or ()
    encoding, users = _declared(value), list(value.uses())
    value.shape = ir.Shape([shape[int(axis)] for axis in np.argsort(permutation)])
    if encoding is None:
        chain = [transpose_node(graph, value, permutation)]
        for user, index in users:
            user.replace_input_with(index, chain[0].outputs[0])
    else:
        quantizers = _alike(value, encoding)
        first = linear_node(graph, QUANTIZE, f"{value.name}_as_given", value, encoding)
        chain = [first, *transpose_unit(graph, first.outputs[0], encoding, permutation)]
        _replace(graph, quantizers, chain[-1].outputs[0])
    prepend(graph, chain)


def _alike(value: ir.Value, encoding: TensorEncoding) -> list[ir.Node]:
    """The QuantizeLinear nodes that give `value` this encoding."""
    return [
        node
        for node in _quantizers(value)
        if (own := encoding_of(node)) is not None and same_encoding(own, encoding)
    ]


def _replace(graph: ir.Graph, quantizers: Sequence[ir.Node], codes: ir.Value) -> None:
    """Gives the users of QuantizeLinear nodes other codes, and removes the nodes."""
    for node in quantizers:
        node.outputs[0].replace_all_uses_with(codes)
        graph.remove(node, safe=True)


def _quantizers(value: ir.Value) -> list[ir.Node]:
    """The QuantizeLinear nodes that take `value`, in a fixed order."""
    nodes = [node for node, index in value.uses() if node.op_type == QUANTIZE and index == 0]
    return sorted(nodes, key=lambda node: str(node.name))
