"""Changes to linked channels that leave the network's outputs as they are.

As `f(c x) = c f(x)`, a factor can move from the layers that give a channel to the weights that take
it. A constant moves on as a bias, and copies of a channel are averaged where they are read.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.graph.edit import add_constant
from snapq.quantization.encodings import Floats
from snapq.quantization.qdq.decisions import constant
from snapq.quantization.tuning.channels.links import Link
from snapq.quantization.tuning.channels.weights import (
    by_channel,
    group,
    is_depthwise,
    layer_weight,
    sink_axis,
    source_axis,
)

__all__ = ["repeat", "rescale", "shift"]


def rescale(graph: ir.Graph, link: Link, factor: Floats) -> None:
    """Divides each channel by its factor (`[C]`, above 0), in place; the sinks multiply it back.

    Tensors that change get a name with `_equalized`, as they no longer hold what they did.
    """
    inverse = np.asarray(1 / factor, np.float32)
    for source in link.sources:
        _scale(graph, source, 1, inverse, source_axis(source))
        if len(source.inputs) > 2:
            _scale(graph, source, 2, inverse, -1)
    for node in link.sinks:
        _scale(graph, node, 1, factor, 0 if is_depthwise(node) else sink_axis(node))
    for value in link.tensors:
        value.name = f"{value.name}_equalized"


def shift(graph: ir.Graph, link: Link, floor: Floats) -> None:
    """Takes `floor` (`[C]`) from each channel, in place, and adds what it gave to the sink's bias.

    Source and sink have biases, and the sink pads nothing.
    """
    sink = link.sinks[0]
    weight = layer_weight(sink)
    if sink.op_type == "Conv":
        taps = weight.reshape(*weight.shape[:2], -1).sum(axis=2)
        given = taps[:, 0] * floor if group(sink) > 1 else taps @ floor
    else:
        given = (weight if sink_axis(sink) else weight.T) @ floor
        given = given * np.float32(sink.attributes.get_float("alpha", 1.0))
    _replace(graph, link.sources[0], 2, lambda bias: bias - floor)
    _replace(graph, sink, 2, lambda bias: bias + given)
    for value in link.tensors:
        value.name = f"{value.name}_shifted"


def repeat(
    graph: ir.Graph, first: Link, second: Link, source: npt.NDArray[np.int64], step: float
) -> None:
    """Lets channels of a layer and of the depthwise Conv behind it hold copies of others, in place.

    The copies of a channel are moved by equal parts of a step against each other, which the
    depthwise Conv's bias takes back, and the layer behind it takes their mean. `source` has the
    channel that each channel shall hold, `[C]`; the first link's tensor is rounded in that `step`.
    """
    count = np.bincount(source, minlength=len(source))[source]
    rank = np.array([int((source[:index] == one).sum()) for index, one in enumerate(source)])
    offset = np.asarray(rank / count * step, np.float32)
    layer, depthwise, last = first.sources[0], first.sinks[0], second.sinks[0]
    taps = by_channel(depthwise)[0].sum(axis=1)[source]
    _replace(graph, layer, 1, lambda array: array.take(source, source_axis(layer)))
    _replace(graph, depthwise, 1, lambda array: array[source])
    _replace(graph, layer, 2, lambda array: array[source] + offset)
    _replace(graph, depthwise, 2, lambda array: array[source] - offset * taps)
    _replace(graph, last, 1, lambda array: array.take(source, sink_axis(last)))
    _scale(graph, last, 1, np.asarray(1 / count, np.float32), sink_axis(last))
    for value in (*first.tensors, *second.tensors):
        value.name = f"{value.name}_split"


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
    node.replace_input_with(index, add_constant(graph, name, array))
    if not value.uses() and not value.is_graph_output():
        graph.initializers.pop(str(value.name), None)
