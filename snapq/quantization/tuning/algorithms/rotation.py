"""Rotation: the channels of a residual stream turned, so that none is larger than all others."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.graph.edit import Names, add_constant
from snapq.graph.shapes import static_shape
from snapq.quantization.encodings import Floats
from snapq.quantization.qdq.decisions import constant
from snapq.quantization.tuning.algorithms.base import Stage, Study, register
from snapq.quantization.tuning.channels.streams import Stream, is_layer, moved, streams

__all__ = ["rotate", "rotation"]

_MOST_CHANNELS = 4096
_TRIES, _FEW = 200, 64
"""Random matrices that are tried where there are no more than a few channels."""
Doubles = npt.NDArray[np.float64]


@register("rotation", Stage.MODEL)
def rotate(study: Study) -> Study | None:
    """Turns each residual stream by an orthogonal matrix that keeps means.

    A few channels of a stream that are far larger than all others leave these a few of 256 steps.
    Turned, each channel is a sum of all. The layers that write the stream take the turn into their
    weights; normalizations keep it, as lengths and means stay, and lose their scales and biases to
    the layers behind, which turn back. Behind a normalization that anything else reads stands a
    layer that does. Streams that run through a normalization's scale (BERT) cannot be turned.

    Sources: QuaRot, arXiv:2404.00456, and SliceGPT, arXiv:2401.15024, for normalizations without
    means.
    """
    model = study.model.clone()
    found = [one for one in streams(model.graph) if one.channels <= _MOST_CHANNELS]
    for stream in found:
        _turn(model.graph, stream, rotation(stream.channels))
    return study.of(model) if found else None


@cache
def rotation(channels: int) -> Doubles:
    """An orthogonal matrix `[C, C]` that keeps the vector of ones; always the same one.

    The smaller its largest element, the less is left of one channel that is larger than all others.
    So it is the Kronecker product of as many matrices of four channels as there can be, whose
    elements are all +-1/2, and for what is left the best of some random ones.
    """
    rest, fours = channels, 0
    while rest % 4 == 0:
        rest, fours = rest // 4, fours + 1
    if rest % 4 == 2 and fours:  # two channels cannot be mixed so that their mean stays
        rest, fours = 4 * rest, fours - 1
    tries = range(_TRIES if rest <= _FEW else 1)
    turn = min((_random(rest, seed) for seed in tries), key=lambda one: float(np.abs(one).max()))
    for _ in range(fours):
        turn = np.asarray(np.kron(np.full((4, 4), 0.5) - np.eye(4), turn), np.float64)
    return turn


def _random(channels: int, seed: int) -> Doubles:
    first, inner = np.eye(channels), np.eye(channels)
    first[:, 0] = 1.0
    basis = np.linalg.qr(first)[0]
    size = (channels - 1, channels - 1)
    inner[1:, 1:] = np.linalg.qr(np.random.default_rng(seed).standard_normal(size))[0]
    return np.asarray(basis @ inner @ basis.T)


def _turn(graph: ir.Graph, stream: Stream, turn: Doubles) -> None:
    """Turns a stream in place; tensors that change get a name with `_rotated`."""
    for node in stream.writers:
        _change(graph, node, 1, lambda array, node=node: _given(node, array, turn))  # type: ignore[misc]
        if len(node.inputs) > 2:
            _change(graph, node, 2, lambda array: turn @ array)
    for (node, index), axis in stream.constants.items():
        _change(graph, node, index, lambda array, axis=axis: _along(array, turn, axis))  # type: ignore[misc]
    for node in stream.readers:
        _change(graph, node, 1, lambda array, node=node: _read(node, array, turn.T))  # type: ignore[misc]
    for node in stream.norms:
        _turn_back(graph, node, turn)
    for value in stream.values:
        value.name = f"{value.name}_rotated"


def _turn_back(graph: ir.Graph, norm: ir.Node, turn: Doubles) -> None:
    """Takes scale and bias off a normalization; what reads it has them, and turns back."""
    held = [constant(value) for value in norm.inputs[1:]]
    scale, bias = (
        np.asarray(held[index].numpy(), np.float64) if len(held) > index and held[index] else None  # type: ignore[union-attr]
        for index in (0, 1)
    )
    scale = np.ones(len(turn)) if scale is None else scale
    shape = static_shape(norm.inputs[0]) or ()
    readers = _readers(norm.outputs[0], len(shape) - 1)
    if readers is None or (bias is not None and any(n.op_type != "Gemm" for n in readers)):
        readers = [_layer_behind(graph, norm, len(turn))]
    for node in readers:
        if bias is not None:
            weight = np.asarray(constant(node.inputs[1]).numpy(), np.float64)  # type: ignore[union-attr]
            given = weight @ bias if node.attributes.get_int("transB", 0) else bias @ weight
            _add_bias(graph, node, given)
        back = scale[:, None] * turn.T
        _change(graph, node, 1, lambda array, node=node, back=back: _read(node, array, back))  # type: ignore[misc]
    _change(graph, norm, 1, np.ones_like)
    if bias is not None:
        _change(graph, norm, 2, np.zeros_like)
    norm.outputs[0].name = f"{norm.outputs[0].name}_rotated"


def _readers(value: ir.Value, axis: int) -> list[ir.Node] | None:
    """The layers that read a tensor, through moves; None where anything else does."""
    found: list[ir.Node] = []
    if value.is_graph_output():
        return None
    for node, index in value.uses():
        rank = len(static_shape(value) or ())
        if index == 0 and is_layer(node) and axis == rank - 1:
            found.append(node)
            continue
        behind = moved(node, axis) if index == 0 else None
        inner = _readers(node.outputs[0], behind) if behind is not None else None
        if inner is None:
            return None
        found += inner
    return found


def _layer_behind(graph: ir.Graph, norm: ir.Node, channels: int) -> ir.Node:
    """A layer that gives what it reads, behind a normalization."""
    value, names = norm.outputs[0], Names(graph)
    shape = static_shape(value) or ()
    uses, output = list(value.uses()), value.is_graph_output()
    kind = value.type

    def node(op_type: str, inputs: list[ir.Value], sizes: tuple[int, ...], **more: int) -> ir.Node:
        made = ir.node(op_type, inputs, more, name=names.fresh_node(f"{norm.name}_{op_type}"))
        made.outputs[0].name = names.fresh_value(f"{value.name}_{op_type}")
        made.outputs[0].shape, made.outputs[0].type = ir.Shape(sizes), kind
        return made

    def held(array: np.ndarray, name: str) -> ir.Value:
        return add_constant(graph, names.fresh_value(f"{value.name}_{name}"), array)

    rows = node(
        "Reshape", [value, held(np.array([-1, channels]), "rows")], (_rows(shape), channels)
    )
    weight = held(np.eye(channels, dtype=np.float32), "back")
    layer = node("Gemm", [rows.outputs[0], weight], (_rows(shape), channels), transB=1)
    last = node("Reshape", [layer.outputs[0], held(np.array(shape), "shape")], shape)
    graph.insert_after(norm, [rows, layer, last])
    for user, index in uses:
        user.replace_input_with(index, last.outputs[0])
    if output:
        graph.outputs[list(graph.outputs).index(value)] = last.outputs[0]
        value.name, last.outputs[0].name = last.outputs[0].name, value.name
    return layer


def _rows(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape[:-1]))


def _given(node: ir.Node, weight: Doubles, turn: Doubles) -> Doubles:
    """The weight of a layer that gives turned channels."""
    if node.op_type == "Conv":
        return np.tensordot(turn, weight, 1)
    return turn @ weight if node.attributes.get_int("transB", 0) else weight @ turn.T


def _read(node: ir.Node, weight: Doubles, back: Doubles) -> Doubles:
    """The weight of a layer that reads `x` where it read `back @ x`."""
    return weight @ back if node.attributes.get_int("transB", 0) else back.T @ weight


def _along(array: Doubles, turn: Doubles, axis: int) -> Doubles:
    return np.moveaxis(np.tensordot(array, turn, ((axis,), (1,))), -1, axis)


def _add_bias(graph: ir.Graph, node: ir.Node, given: Doubles) -> None:
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        _change(graph, node, 2, lambda array: array + given)
        return
    node.resize_inputs(3)
    name = Names(graph).fresh_value(f"{node.name}_bias")
    node.replace_input_with(2, add_constant(graph, name, np.asarray(given, np.float32)))


def _change(
    graph: ir.Graph, node: ir.Node, index: int, change: Callable[[Doubles], Doubles]
) -> None:
    """Gives a node its own, changed copy of a constant."""
    value = node.inputs[index]
    tensor = constant(value)
    if value is None or tensor is None:
        return
    array: Floats = np.asarray(change(np.asarray(tensor.numpy(), np.float64)), np.float32)
    name = Names(graph).fresh_value(f"{value.name}_rotated")
    node.replace_input_with(index, add_constant(graph, name, array))
    if not value.uses() and not value.is_graph_output():
        graph.initializers.pop(str(value.name), None)
