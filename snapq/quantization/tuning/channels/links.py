"""Which layers hand channels to which.

A tensor's channels can be changed where all that give it have constants of their own for each
channel (a Conv, Gemm or normalization), and all that read it, through operators that keep a factor,
have a weight for each channel to take it back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import input_at
from snapq.graph.shapes import static_shape
from snapq.operators import Family, Role, Trait, having, in_families, spec
from snapq.quantization.qdq.decisions import constant
from snapq.quantization.tuning.channels.weights import group, layer_weight, sink_axis

__all__ = ["Link", "links", "norm_links"]


_LAYERS = having(Trait.SUMS_CHANNELS, role=Role.BIAS)
_NORMS = tuple(op for op in in_families(Family.NORMALIZATION) if spec(op).channel_axis == -1)


@dataclass(frozen=True)
class Link:
    """Tensors whose channels are scaled together.

    Attributes:
        sources: the nodes that give them, with constants for each channel.
        inner: nodes between that keep the factor, in graph order.
        sinks: nodes whose weights take it back.
        channels: number of channels.
        axis: the channel axis.
        limit: upper limit of a Clip between; None where there is none.
    """

    sources: tuple[ir.Node, ...]
    inner: tuple[ir.Node, ...]
    sinks: tuple[ir.Node, ...]
    channels: int
    axis: int = 1
    limit: float | None = None

    @property
    def tensors(self) -> tuple[ir.Value, ...]:
        """Everything that is scaled, in graph order of sources, then of what is between."""
        return tuple(node.outputs[0] for node in (*self.sources, *self.inner))

    @property
    def read(self) -> ir.Value:
        """The last tensor on the way to the sinks."""
        return self.tensors[-1]


def links(graph: ir.Graph) -> list[Link]:
    """Every set of layers that gives, and every set that takes, the same channels.

    From a Conv, ConvTranspose or Gemm on, through activations, pools and Adds: an Add binds what
    gives its other summand, so a residual stream is one link.
    """
    found, done = [], set()
    for node in graph:
        if node.op_type in _LAYERS and node not in done and _scalable(node):
            link = _grown(node)
            if link is not None:
                found.append(link)
                done |= set(link.sources)
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
            found.append(Link((node,), (), tuple(sinks), shape[-1], len(shape) - 1))
    return found


def _scalable(node: ir.Node) -> bool:
    constants = [constant(value) for value in node.inputs[1:] if value is not None]
    if node.op_type == "ConvTranspose" and group(node) > 1:
        return False
    if not constants or any(found is None for found in constants):
        return False
    if node.op_type != "Gemm":
        return True
    plain = node.attributes.get_float("beta", 1.0) == 1.0
    return plain and all(found.shape.rank() == 1 for found in constants[1:] if found is not None)


class _Growth:
    """A link that is being found: nodes, and tensors whose readers have not been looked at."""

    def __init__(self, start: ir.Node, channels: int) -> None:
        self.channels = channels
        self.sources = {start: None}
        self.inner = dict[ir.Node, None]()
        self.sinks = dict[ir.Node, None]()
        self.limits: list[float] = []
        self._left, self._seen = [start.outputs[0]], {start.outputs[0]}

    def closes(self) -> bool:
        """Follows all tensors; False where something on the way is no part of a link."""
        while self._left:
            value = self._left.pop()
            held = static_shape(value)
            if value.is_graph_output() or held is None or len(held) < 2 or held[1] != self.channels:
                return False
            if not all(self._takes_in(reader, index) for reader, index in value.uses()):
                return False
        return bool(self.sinks)

    def _takes_in(self, reader: ir.Node, index: int) -> bool:
        """Takes in what reads a tensor; False where it is no part of a link."""
        if reader.op_type in _LAYERS:
            self.sinks[reader] = None
            return index == 0 and _takes(reader, self.channels)
        if reader in self.inner:
            return True
        if index >= _data_inputs(reader) or not self._keeps(reader):
            return False
        if not all(self._gives(read) for read in reader.inputs[: _data_inputs(reader)]):
            return False
        self._follow(reader.outputs[0])
        return True

    def _gives(self, value: ir.Value | None) -> bool:
        """Takes in what gives a tensor; False where it is no part of a link."""
        producer = value.producer() if value is not None else None
        if value is None or producer is None:
            return False
        if not self._follow(value):
            return True
        if producer.op_type in _LAYERS:
            self.sources[producer] = None
            return _scalable(producer)
        return self._keeps(producer) and all(
            self._gives(read) for read in producer.inputs[: _data_inputs(producer)]
        )

    def _follow(self, value: ir.Value) -> bool:
        """Notes a tensor to look at its readers; False where it was noted before."""
        new = value not in self._seen
        if new:
            self._seen.add(value)
            self._left.append(value)
        return new

    def _keeps(self, node: ir.Node) -> bool:
        return _keeps(node, self.channels, self.limits, self.inner)


def _grown(start: ir.Node) -> Link | None:
    """The link that a source belongs to; None where something on the way is no part of one."""
    shape = static_shape(start.outputs[0])
    if shape is None or len(shape) < 2:
        return None
    grown = _Growth(start, shape[1])
    if not grown.closes():
        return None
    order = {node: index for index, node in enumerate(start.graph or ())}
    first, middle, last = (
        tuple(sorted(group, key=order.__getitem__))
        for group in (grown.sources, grown.inner, grown.sinks)
    )
    return Link(first, middle, last, shape[1], limit=min(grown.limits, default=None))


def _data_inputs(node: ir.Node) -> int:
    """How many of the first inputs hold channels."""
    return 2 if node.op_type == "Add" else 1


def _keeps(node: ir.Node, channels: int, limits: list[float], inner: dict[ir.Node, None]) -> bool:
    """Whether a node gives scaled channels for scaled channels; takes note of it and of limits."""
    if node in inner:
        return True
    output = static_shape(node.outputs[0])
    if len(node.outputs) != 1 or output is None or len(output) < 2 or output[1] != channels:
        return False
    if node.op_type == "Add":
        if any(v is None or constant(v) is not None for v in node.inputs):
            return False
        if any(static_shape(v) != output for v in node.inputs if v is not None):
            return False
    elif not spec(node.op_type).has(Trait.KEEPS_FACTOR):
        return False
    elif node.op_type in ("Reshape", "Flatten", "ReduceMean"):
        if not _leaves_channels(node, output):
            return False
    elif node.op_type == "PRelu" and constant(node.inputs[1]) is None:
        return False
    elif node.op_type == "Clip":
        low, high = (_number(node, index) for index in (1, 2))
        if low not in (None, 0.0) or high is None:
            return False
        limits.append(high)
    inner[node] = None
    return True


def _leaves_channels(node: ir.Node, output: tuple[int, ...]) -> bool:
    """Whether a node that changes the shape leaves samples and channels where they are."""
    source = static_shape(node.inputs[0]) if node.inputs[0] is not None else None
    if source is None or source[:2] != output[:2]:
        return False
    return node.op_type == "ReduceMean" or all(size == 1 for size in source[2:])


def _number(node: ir.Node, index: int) -> float | None:
    tensor = constant(input_at(node, index))
    return float(tensor.numpy().reshape(-1)[0]) if tensor is not None else None


def _takes(sink: ir.Node, channels: int) -> bool:
    """Whether a sink has its own weight for each of the channels that it reads."""
    if not _scalable(sink):
        return False
    weight = layer_weight(sink)
    if sink.op_type == "Gemm":
        plain = not sink.attributes.get_int("transA", 0)
        return bool(plain and weight.shape[sink_axis(sink)] == channels)
    if group(sink) == 1:
        return bool(weight.shape[sink_axis(sink)] == channels)
    whole = sink.op_type == "Conv" and weight.shape[1] == 1
    return bool(whole and weight.shape[0] == channels == group(sink))


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
        if taken[sink_axis(reader)] != channels:
            return []
        found.append(reader)
    return found
