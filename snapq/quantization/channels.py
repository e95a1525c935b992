"""Scaling channels between layers: as `f(c x) = c f(x)`, a factor can move to the next weight.

A tensor's channels can be scaled where one node gives it with constants of its own for each channel
(a Conv, Gemm or normalization), and all that read it, through operators that keep the factor, have
a weight for each channel to take it back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.graph.shapes import static_shape
from snapq.quantization.calibration import Samples, stream
from snapq.quantization.decisions import constant

__all__ = ["Link", "channel_ranges", "conv_links", "norm_links", "rescale", "shift"]

Floats = npt.NDArray[np.float32]

_KEEP_FACTOR = frozenset({"Relu", "LeakyRelu", "PRelu", "Clip", "MaxPool", "Identity"})
_NORMS = ("LayerNormalization", "RMSNormalization")


@dataclass(frozen=True)
class Link:
    """One tensor whose channels can be scaled.

    Attributes:
        source: the node with constants for each channel.
        between: nodes that keep the factor, in order.
        sinks: nodes whose weights take it back.
        tensor: what the sinks read: the output of the last node between.
        axis: its channel axis.
        limit: upper limit of a Clip between; None where there is none.
    """

    source: ir.Node
    between: tuple[ir.Node, ...]
    sinks: tuple[ir.Node, ...]
    tensor: ir.Value
    axis: int
    limit: float | None = None

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(_weight(self.sinks[0]).shape[_sink_axis(self.sinks[0])]) * (
            _group(self.sinks[0]) if self.sinks[0].op_type == "Conv" else 1
        )

    def sink_weights(self) -> Floats:
        """Largest weight that takes each channel, over all sinks, `[C]`; 0 for a depthwise sink.

        A depthwise Conv has a scale for each channel of its own, so a factor costs it nothing.
        """
        found = np.zeros(self.channels, np.float32)
        for node in self.sinks:
            if node.op_type == "Conv" and _group(node) > 1:
                continue
            weight = np.abs(_weight(node))
            axis = _sink_axis(node)
            other = tuple(i for i in range(weight.ndim) if i != axis)
            found = np.maximum(found, weight.max(axis=other))
        return found


def conv_links(graph: ir.Graph) -> list[Link]:
    """Conv or Gemm, activations that keep a factor, then one Conv or Gemm."""
    found = []
    for node in graph:
        if node.op_type not in ("Conv", "Gemm") or not _scalable(node):
            continue
        walked = _walk(node)
        if walked is None:
            continue
        between, sink, limit = walked
        axis = 1
        if sink.op_type in ("Conv", "Gemm") and _takes_channels(node, sink):
            tensor = (between[-1] if between else node).outputs[0]
            found.append(Link(node, between, (sink,), tensor, axis, limit))
    return found


def norm_links(graph: ir.Graph) -> list[Link]:
    """A normalization over the last axis, and every Gemm or MatMul that reads it."""
    found = []
    for node in graph:
        if node.op_type not in _NORMS or any(constant(v) is None for v in node.inputs[1:]):
            continue
        shape = static_shape(node.outputs[0])
        scale = constant(node.inputs[1]) if len(node.inputs) > 1 else None
        if shape is None or scale is None or scale.size != shape[-1]:
            continue
        sinks = _readers(node.outputs[0], shape[-1])
        if sinks:
            found.append(Link(node, (), tuple(sinks), node.outputs[0], len(shape) - 1))
    return found


def channel_ranges(
    model: ir.Model, links: Sequence[Link], samples: Samples
) -> dict[str, tuple[Floats, Floats]]:
    """Smallest and largest value of each channel of the links' tensors, `[C]` each, by name.

    Raises:
        DataError, ModelError: as `calibration.stream`.
    """
    axes = {str(link.tensor.name): link.axis for link in links}
    found: dict[str, tuple[Floats, Floats]] = {}
    for values in stream(model, samples, sorted(axes)):
        for name, axis in axes.items():
            array = np.asarray(values[name], np.float32)
            other = tuple(i for i in range(array.ndim) if i != axis)
            low, high = array.min(axis=other), array.max(axis=other)
            if name in found:
                low, high = np.minimum(low, found[name][0]), np.maximum(high, found[name][1])
            found[name] = (low, high)
    return found


def rescale(graph: ir.Graph, link: Link, factor: Floats) -> None:
    """Divides each channel by its factor, in place, and lets the sinks multiply it back.

    Tensors that change get a name with `_equalized`, as they no longer hold what they did.

    Args:
        graph: the graph.
        link: where.
        factor: `[C]`, above 0.
    """
    source = link.source
    if source.op_type in _NORMS:
        axis = 0
    else:
        axis = 1 if source.op_type == "Gemm" and not source.attributes.get_int("transB", 0) else 0
    inverse = np.asarray(1 / factor, np.float32)
    _scale(graph, source, 1, inverse, axis)
    if len(source.inputs) > 2 and source.inputs[2] is not None:
        bias = constant(source.inputs[2])
        last = np.asarray(bias.numpy()).ndim - 1 if bias is not None else 0
        _scale(graph, source, 2, inverse, last)
    for node in link.sinks:
        if node.op_type == "Conv" and _group(node) > 1:
            _scale(graph, node, 1, factor, 0)
        else:
            _scale(graph, node, 1, factor, _sink_axis(node))
    for changed in (source, *link.between):
        value = changed.outputs[0]
        value.name = f"{value.name}_equalized"


def shift(graph: ir.Graph, link: Link, floor: Floats) -> None:
    """Takes `floor` (`[C]`) from each channel, in place, and adds what it gave to the sink's bias.

    Source and sink have biases, and the sink pads nothing.
    """
    sink = link.sinks[0]
    weight = _weight(sink)
    if sink.op_type == "Conv":
        taps = weight.reshape(*weight.shape[:2], -1).sum(axis=2)
        given = taps[:, 0] * floor if _group(sink) > 1 else taps @ floor
    else:
        given = (weight if _sink_axis(sink) else weight.T) @ floor
        given = given * np.float32(sink.attributes.get_float("alpha", 1.0))
    _add(graph, link.source, -floor)
    _add(graph, sink, given)
    for changed in (link.source, *link.between):
        value = changed.outputs[0]
        value.name = f"{value.name}_shifted"


def _add(graph: ir.Graph, node: ir.Node, amount: Floats) -> None:
    """Gives a node its own bias with `amount` added."""
    _replace(graph, node, 2, lambda array: array + amount)


def _scalable(node: ir.Node) -> bool:
    constants = [constant(value) for value in node.inputs[1:] if value is not None]
    if not constants or any(found is None for found in constants):
        return False
    if node.op_type != "Gemm":
        return True
    plain = node.attributes.get_float("beta", 1.0) == 1.0
    return plain and all(found.shape.rank() == 1 for found in constants[1:] if found is not None)


def _walk(node: ir.Node) -> tuple[tuple[ir.Node, ...], ir.Node, float | None] | None:
    """The nodes between a layer and the next one, that one, and the limit of a Clip."""
    between: list[ir.Node] = []
    limit: float | None = None
    value = node.outputs[0]
    while True:
        uses = tuple(value.uses())
        if len(uses) != 1 or value.is_graph_output() or uses[0][1] != 0:
            return None
        reader = uses[0][0]
        if reader.op_type in ("Conv", "Gemm"):
            return tuple(between), reader, limit
        if reader.op_type not in _KEEP_FACTOR or len(reader.outputs) != 1:
            return None
        if reader.op_type == "Clip":
            low, high = (_number(reader, index) for index in (1, 2))
            if low not in (None, 0.0) or high is None:
                return None
            limit = high if limit is None else min(limit, high)
        if reader.op_type == "PRelu" and constant(reader.inputs[1]) is None:
            return None
        between.append(reader)
        value = reader.outputs[0]


def _number(node: ir.Node, index: int) -> float | None:
    value = node.inputs[index] if len(node.inputs) > index else None
    tensor = constant(value)
    return float(tensor.numpy().reshape(-1)[0]) if tensor is not None else None


def _takes_channels(source: ir.Node, sink: ir.Node) -> bool:
    """Whether the sink has its own weight for each output channel of the source."""
    if not _scalable(sink) or source.op_type != sink.op_type:
        return False
    given = _weight(source).shape
    outputs = given[0]
    if source.op_type == "Gemm" and not source.attributes.get_int("transB", 0):
        outputs = given[1]
    weight = _weight(sink)
    if sink.op_type == "Gemm":
        return bool(
            not sink.attributes.get_int("transA", 0) and outputs == weight.shape[_sink_axis(sink)]
        )
    if _group(sink) == 1:
        return bool(weight.shape[1] == outputs)
    return bool(weight.shape[1] == 1 and weight.shape[0] == outputs == _group(sink))


def _readers(value: ir.Value, channels: int) -> list[ir.Node]:
    """Every Gemm and MatMul that reads a tensor, through Reshapes that keep its last dimension."""
    found: list[ir.Node] = []
    if value.is_graph_output():
        return []
    for reader, index in value.uses():
        if reader.op_type == "Reshape" and index == 0:
            shape = static_shape(reader.outputs[0])
            if shape is None or shape[-1] != channels:
                return []
            inner = _readers(reader.outputs[0], channels)
            if not inner:
                return []
            found += inner
            continue
        weight = constant(reader.inputs[1]) if len(reader.inputs) > 1 else None
        if reader.op_type not in ("Gemm", "MatMul") or index != 0 or weight is None:
            return []
        taken = np.asarray(weight.numpy()).shape
        if len(taken) != 2 or reader.attributes.get_int("transA", 0) != 0:
            return []
        if taken[_sink_axis(reader)] != channels:
            return []
        found.append(reader)
    return found


def _sink_axis(node: ir.Node) -> int:
    """The axis of the input channels in a sink's weight."""
    if node.op_type == "Conv":
        return 1
    return 1 if node.attributes.get_int("transB", 0) else 0


def _group(node: ir.Node) -> int:
    return node.attributes.get_int("group", 1)


def _weight(node: ir.Node) -> Floats:
    tensor = constant(node.inputs[1])
    return np.asarray(tensor.numpy() if tensor is not None else 0.0, np.float32)


def _scale(graph: ir.Graph, node: ir.Node, index: int, factor: Floats, axis: int) -> None:
    """Gives a node its own, scaled copy of a constant."""

    def scaled(array: Floats) -> Floats:
        shape = [1] * array.ndim
        shape[axis] = -1
        return array * factor.reshape(shape)

    _replace(graph, node, index, scaled)


def _replace(
    graph: ir.Graph, node: ir.Node, index: int, change: Callable[[Floats], Floats]
) -> None:
    value = node.inputs[index]
    tensor = constant(value)
    if value is None or tensor is None:
        return
    array = np.asarray(change(np.asarray(tensor.numpy(), np.float32)), np.float32)
    # A name of its own: other nodes may go on reading the constant.
    name = f"{value.name}_of_{node.name}"
    while name in graph.initializers:
        name += "_2"
    fresh = ir.Value(
        name=name, shape=value.shape, type=value.type, const_value=ir.Tensor(array, name=name)
    )
    graph.register_initializer(fresh)
    node.replace_input_with(index, fresh)
    if not value.uses() and not value.is_graph_output():
        graph.initializers.pop(str(value.name), None)
