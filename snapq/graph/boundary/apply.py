"""Gives a finished model the planned boundary: a Q/DQ model, or a float one that runs as fp16."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as common

from snapq.errors import ModelError
from snapq.graph.boundary.edit import constant, free_name, new_node, reroute
from snapq.graph.boundary.values import (
    Boundary,
    InputBoundary,
    OutputBoundary,
    channels_last,
)
from snapq.graph.shapes import graph_inputs, static_shape

QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
_CODES = (ir.DataType.UINT8, ir.DataType.INT8, ir.DataType.UINT16, ir.DataType.INT16)


@dataclass(frozen=True)
class Applied:
    """A model with its boundary.

    Attributes:
        model: takes and gives what `boundary` says.
        boundary: the plan with every type and encoding filled in from the graph.
    """

    model: ir.Model
    boundary: Boundary


@dataclass(frozen=True)
class _Encoding:
    """A per-tensor encoding as it stands in the graph."""

    scale: ir.Value
    zero_point: ir.Value
    dtype: ir.DataType

    @property
    def numbers(self) -> tuple[float, int]:
        """Scale and zero point."""
        return float(_scalar(self.scale)), int(_scalar(self.zero_point))


def apply(model: ir.Model, boundary: Boundary) -> Applied:
    """Gives the model the planned inputs and outputs.

    1. A quantized input loses its QuantizeLinear and takes codes. An image's encoding is the
       planned one; others have what the graph says, and stay float where the graph says nothing
       or several things.
    2. An input or output in another layout gets a Transpose as a node unit of its own
       (DequantizeLinear, Transpose, QuantizeLinear), which the provider cancels against the one
       that it puts before its channels-last convolutions. Estimated cycles are the same where it
       stands bare before or after the DequantizeLinear (281,738 on SoC 77 for one model), but the
       provider then refuses it where nothing cancels it.
    3. A quantized output loses its DequantizeLinear and gives codes.
    4. In a float model an image input takes codes all the same, through a DequantizeLinear;
       outputs stay float.

    Args:
        model: the Q/DQ model, or the float one after `fold_normalization`; it is left as it is.
        boundary: what `plan` gave.

    Raises:
        ModelError: an image input is an output too, so that it cannot take codes; or the shape of
            an output is not known.
    """
    edited = model.clone()
    # Encodings of other tools' models may stand in Constant nodes, which new nodes would precede.
    common.LiftConstantsToInitializersPass(lift_all_constants=True)(edited)
    graph = edited.graph
    notes = list(boundary.notes)
    inputs = {str(value.name): value for value in graph_inputs(edited)}
    quantized = any(node.op_type == DEQUANTIZE for node in graph)
    taken = tuple(_apply_input(graph, inputs[item.name], item, notes) for item in boundary.inputs)
    given = tuple(
        _apply_output(graph, index, _planned_output(value, boundary))
        for index, value in enumerate(graph.outputs)
    )
    if quantized and boundary.gives_codes:
        notes += [
            f"Output '{item.name}' stays {item.dtype}: the model does not quantize it."
            for item in given
            if not item.quantized
        ]
    _remove_unused_constants(graph)
    done = replace(boundary, inputs=taken, outputs=given, notes=tuple(notes))
    return Applied(edited, done)


def _planned_output(value: ir.Value, boundary: Boundary) -> OutputBoundary:
    shape = static_shape(value)
    if shape is None:
        raise ModelError(
            "The shape of this output is not known.",
            where=str(value.name),
            mend="Freeze the model's inputs and infer its shapes first.",
        )
    nhwc = boundary.gives_nhwc and len(shape) == 4
    return OutputBoundary(
        str(value.name),
        _numpy_name(value),
        shape,
        quantized=boundary.gives_codes,
        permutation=channels_last(4, 1) if nhwc else None,
    )


def _apply_input(
    graph: ir.Graph, value: ir.Value, item: InputBoundary, notes: list[str]
) -> InputBoundary:
    if value in graph.outputs:
        _refuse_change(item)
        return replace(item, quantized=False, dtype=_numpy_name(value), permutation=None)
    if item.quantized:
        encoding = _planned(graph, item, value) if item.raw else _declared(value)
        if encoding is not None:
            return _feed_codes(graph, value, item, encoding)
        notes.append(
            f"Input '{item.name}' stays float: the model does not quantize it in one way only."
        )
    floats = replace(item, quantized=False, dtype=_numpy_name(value), scale=None, zero_point=None)
    if item.permutation is not None:
        _feed_other_layout(graph, value, item.permutation)
    return floats


def _refuse_change(item: InputBoundary) -> None:
    if item.raw or (item.image is not None and item.permutation is not None):
        raise ModelError(
            "This image input is an output of the model too, so it cannot take raw pixels.",
            where=item.name,
            mend="Remove it from the outputs, or write `io: {dtype: float, layout: as-is}`.",
        )


def _planned(graph: ir.Graph, item: InputBoundary, value: ir.Value) -> _Encoding:
    """The planned encoding: the graph's own constants where it has them."""
    assert item.scale is not None and item.zero_point is not None
    for node in _quantizers(value):
        found = _encoding(node)
        if found is not None and found.dtype == ir.DataType.UINT8:
            scale, zero_point = found.numbers
            if np.isclose(scale, item.scale, rtol=1e-6, atol=0) and zero_point == item.zero_point:
                return found
    dtype = (value.dtype or ir.DataType.FLOAT).numpy()
    return _Encoding(
        constant(graph, f"{item.name}_scale", np.asarray(item.scale, dtype)),
        constant(graph, f"{item.name}_zero_point", np.asarray(item.zero_point, np.uint8)),
        ir.DataType.UINT8,
    )


def _declared(value: ir.Value) -> _Encoding | None:
    """The one encoding with which the graph quantizes an input; None where it is not one."""
    found = [_encoding(node) for node in _quantizers(value)]
    first = found[0] if found else None
    if first is None or len(found) != len(value.uses()):
        return None
    return first if all(other is not None and _same(first, other) for other in found) else None


def _feed_codes(
    graph: ir.Graph, value: ir.Value, item: InputBoundary, encoding: _Encoding
) -> InputBoundary:
    """Makes `value` an input of codes in the package's layout."""
    users = list(value.uses())
    quantizers = [
        node
        for node in _quantizers(value)
        if (own := _encoding(node)) is not None and _same(own, encoding)
    ]
    floats = ir.TensorType(value.dtype or ir.DataType.FLOAT)
    value.type = ir.TensorType(encoding.dtype)
    value.shape = ir.Shape(item.shape)

    chain: list[ir.Node] = []
    codes = value
    if item.permutation is not None:
        chain += _transpose_unit(graph, value, encoding, floats, item.permutation, item.model_shape)
        codes = chain[-1].outputs[0]
    others = [(node, index) for node, index in users if node not in quantizers]
    if others:
        name = f"{item.name}_dequantized"
        last = _linear(graph, DEQUANTIZE, name, codes, encoding, floats, item.model_shape)
        chain.append(last)
        for node, index in others:
            node.replace_input_with(index, last.outputs[0])
        if not quantizers and item.permutation is not None:
            # A float graph needs no node unit around its Transpose.
            chain = [chain[0], chain[1]]
            reroute(last.outputs[0], chain[1].outputs[0])
    for node in quantizers:
        reroute(node.outputs[0], codes)
        graph.remove(node, safe=True)
    _prepend(graph, chain)
    scale, zero_point = encoding.numbers
    return replace(item, dtype=encoding.dtype.numpy().name, scale=scale, zero_point=zero_point)


def _feed_other_layout(graph: ir.Graph, value: ir.Value, permutation: tuple[int, ...]) -> None:
    """Puts a Transpose between a float input of the package's layout and its users."""
    shape = value.shape
    assert shape is not None
    users = list(value.uses())
    node = new_node(
        graph, "Transpose", f"{value.name}_transposed", [value], {"perm": list(permutation)}
    )
    node.outputs[0].type, node.outputs[0].shape = value.type, shape
    value.shape = ir.Shape([shape[int(axis)] for axis in np.argsort(permutation)])
    for user, index in users:
        user.replace_input_with(index, node.outputs[0])
    _prepend(graph, [node])


def _apply_output(graph: ir.Graph, index: int, item: OutputBoundary) -> OutputBoundary:
    value = graph.outputs[index]
    producer = value.producer()
    encoding = None
    if producer is not None and producer.op_type == DEQUANTIZE:
        encoding = _encoding(producer)
    if item.quantized and encoding is not None and producer is not None:
        codes = producer.inputs[0]
        assert codes is not None
        maker = codes.producer()
        if maker is not None and codes not in graph.outputs:
            return _give_codes(graph, index, item, encoding, producer)
    floats = replace(item, quantized=False, dtype=_numpy_name(value), scale=None, zero_point=None)
    if item.permutation is not None and producer is not None:
        _give_other_layout(graph, index, item, encoding, producer)
        return floats
    return replace(floats, permutation=None)


def _give_codes(
    graph: ir.Graph,
    index: int,
    item: OutputBoundary,
    encoding: _Encoding,
    dequantizer: ir.Node,
) -> OutputBoundary:
    """Makes the codes that `dequantizer` reads the output."""
    value = graph.outputs[index]
    codes = dequantizer.inputs[0]
    assert codes is not None
    floats = ir.TensorType(value.dtype or ir.DataType.FLOAT)
    scale, zero_point = encoding.numbers
    done = replace(item, dtype=encoding.dtype.numpy().name, scale=scale, zero_point=zero_point)
    value.name = free_name(graph, f"{item.name}_dequantized")
    if item.permutation is not None:
        order = tuple(int(axis) for axis in np.argsort(item.permutation))
        unit = _transpose_unit(graph, codes, encoding, floats, order, item.shape, at=item.name)
        graph.insert_after(dequantizer, unit)
        codes = unit[-1].outputs[0]
    graph.outputs[index] = codes
    codes.name = item.name
    codes.type, codes.shape = ir.TensorType(encoding.dtype), ir.Shape(item.shape)
    if not value.uses() and value not in graph.outputs:
        graph.remove(dequantizer, safe=True)
    return done


def _give_other_layout(
    graph: ir.Graph,
    index: int,
    item: OutputBoundary,
    encoding: _Encoding | None,
    producer: ir.Node,
) -> None:
    """Puts a Transpose after a float output; before its DequantizeLinear where it has one."""
    value = graph.outputs[index]
    assert item.permutation is not None
    order = [int(axis) for axis in np.argsort(item.permutation)]
    value.name = free_name(graph, f"{item.name}_as_is")
    floats = ir.TensorType(value.dtype or ir.DataType.FLOAT)
    nodes = [new_node(graph, "Transpose", f"{item.name}_nhwc", [value], {"perm": order})]
    _typed(nodes[0], floats, item.shape)
    if encoding is not None:
        kind = ir.TensorType(encoding.dtype)
        source = nodes[0].outputs[0]
        nodes.append(
            _linear(graph, QUANTIZE, f"{item.name}_requantized", source, encoding, kind, item.shape)
        )
        codes = nodes[1].outputs[0]
        nodes.append(
            _linear(graph, DEQUANTIZE, f"{item.name}_float", codes, encoding, floats, item.shape)
        )
    graph.insert_after(producer, nodes)
    graph.outputs[index] = nodes[-1].outputs[0]
    graph.outputs[index].name = item.name


def _transpose_unit(
    graph: ir.Graph,
    codes: ir.Value,
    encoding: _Encoding,
    floats: ir.TensorType,
    permutation: Sequence[int],
    shape: Sequence[int],
    *,
    at: str | None = None,
) -> list[ir.Node]:
    """DequantizeLinear, Transpose, QuantizeLinear: codes in, codes of `shape` out."""
    name = at or str(codes.name)
    before = [shape[int(axis)] for axis in np.argsort(permutation)]
    first = _linear(graph, DEQUANTIZE, f"{name}_before_layout", codes, encoding, floats, before)
    move = new_node(
        graph,
        "Transpose",
        f"{name}_after_layout",
        [first.outputs[0]],
        {"perm": list(permutation)},
    )
    _typed(move, floats, shape)
    kind = ir.TensorType(encoding.dtype)
    last = _linear(graph, QUANTIZE, f"{name}_codes", move.outputs[0], encoding, kind, shape)
    return [first, move, last]


def _linear(
    graph: ir.Graph,
    op_type: str,
    name: str,
    source: ir.Value,
    encoding: _Encoding,
    kind: ir.TensorType,
    shape: Sequence[int],
) -> ir.Node:
    """A QuantizeLinear or DequantizeLinear with an encoding of the graph."""
    inputs = [source, encoding.scale, encoding.zero_point]
    return _typed(new_node(graph, op_type, name, inputs, {}), kind, shape)


def _typed(node: ir.Node, kind: ir.TensorType, shape: Sequence[int]) -> ir.Node:
    node.outputs[0].type, node.outputs[0].shape = kind, ir.Shape(list(shape))
    return node


def _prepend(graph: ir.Graph, nodes: Sequence[ir.Node]) -> None:
    if not nodes:
        return
    if len(graph):
        graph.insert_before(graph[0], nodes)
    else:
        graph.extend(nodes)


def _quantizers(value: ir.Value) -> list[ir.Node]:
    """The QuantizeLinear nodes that take `value`, in a fixed order."""
    nodes = [node for node, index in value.uses() if node.op_type == QUANTIZE and index == 0]
    return sorted(nodes, key=lambda node: str(node.name))


def _encoding(node: ir.Node) -> _Encoding | None:
    """The per-tensor encoding of a QuantizeLinear or DequantizeLinear, None where it has none."""
    if len(node.inputs) < 3:
        return None
    scale, zero_point = node.inputs[1], node.inputs[2]
    if scale is None or zero_point is None or zero_point.dtype not in _CODES:
        return None
    tensors = [ir.convenience.get_const_tensor(value) for value in (scale, zero_point)]
    if any(tensor is None or tensor.size != 1 for tensor in tensors):
        return None
    dtype = zero_point.dtype
    assert dtype is not None
    return _Encoding(scale, zero_point, dtype)


def _same(one: _Encoding, other: _Encoding) -> bool:
    return one.dtype == other.dtype and one.numbers == other.numbers


def _scalar(value: ir.Value) -> float:
    tensor = ir.convenience.get_const_tensor(value)
    assert tensor is not None
    return float(tensor.numpy().reshape(()))


def _numpy_name(value: ir.Value) -> str:
    dtype = value.dtype or ir.DataType.FLOAT
    return str(dtype.numpy().name)


def _remove_unused_constants(graph: ir.Graph) -> None:
    for name, value in list(graph.initializers.items()):
        if not value.uses() and value not in graph.outputs and value not in graph.inputs:
            del graph.initializers[name]
