"""The Q/DQ nodes of a graph as functions that can be trained: scales and stored constants learn.

A value `x` is held as `q = round(clamp(x / s, qmin - z, qmax - z))` and read as `q s`, exactly as
QuantizeLinear-21 and DequantizeLinear-21 do it. Rounding passes gradients straight through, which
gives the gradient of LSQ (Esser et al., 2020, arXiv 1902.08153) for the scale `s`; `s` is trained
as `s0 exp(t)` (Jain et al., 2020, arXiv 1903.08066), so that a step changes it in proportion. Zero
points stay: 0 stays exact, and a clamp that saturation does stays where it is.

What has to be equal for the NPU stays equal: the encodings around an operator that only moves
values are one parameter, and a bias is held at exactly `scale of the data x scale of the weight`.
Encodings of graph inputs (the frames of a camera) and of outputs whose range is known from the
operator (Sigmoid, Softmax, Tanh) are not trained.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import onnx_ir as ir

from snapq.errors import ModelError
from snapq.operators import Role, quantized, spec
from snapq.quantization.encodings import Encoding, QuantType, dequantize, quantize
from snapq.quantization.granularity import granularity
from snapq.quantization.qdq.parameters import bias_encoding, raise_for_bias
from snapq.training.library import Tensor, torch

__all__ = ["LearnedEncodings"]


@dataclass
class _Group:
    """Nodes that have one encoding."""

    encoding: Encoding
    nodes: list[ir.Node] = field(default_factory=list)
    fixed: bool = False


@dataclass(frozen=True)
class _Bias:
    """A stored bias: the nodes that dequantize its operator's data and weight."""

    data: ir.Node
    weight: ir.Node


class LearnedEncodings(torch.nn.Module):  # type: ignore[misc, unused-ignore]
    """All encodings of a graph, and the constants that it stores as integers.

    Args:
        model: any model; one without Q/DQ nodes has none.
        latent: float values of stored constants, by float name (the stem of `NAME_quantized`).

    Raises:
        ModelError: a Q/DQ node has computed parameters, or one scale a block.
    """

    def __init__(self, model: ir.Model, latent: Mapping[str, np.ndarray]) -> None:
        super().__init__()
        nodes = [n for n in model.graph if n.op_type in ("QuantizeLinear", "DequantizeLinear")]
        own = {node: _encoding(node) for node in nodes}
        self._biases = _biases(model, own)
        self._groups = _grouped(model, own, self._biases)
        self._of = {node: index for index, group in enumerate(self._groups) for node in group.nodes}
        self.steps = torch.nn.ParameterList()
        for index, group in enumerate(self._groups):
            step = torch.zeros(group.encoding.scale.shape)
            self.steps.append(torch.nn.Parameter(step, requires_grad=not group.fixed))
            self.register_buffer(f"scale_{index}", torch.from_numpy(group.encoding.scale.copy()))
            zero = torch.from_numpy(group.encoding.zero_point.astype(np.float32))
            self.register_buffer(f"zero_{index}", zero)
        self.stored = torch.nn.ParameterList()
        self._stored: dict[ir.Node, int] = {}
        self._started: dict[ir.Node, tuple[np.ndarray, np.ndarray]] = {}
        for node in nodes:
            integers = _stored(node)
            if integers is not None:
                self._stored[node] = len(self.stored)
                values = _latent(node, integers, own[node], latent)
                self._started[node] = integers, values.copy()
                self.stored.append(torch.nn.Parameter(torch.from_numpy(values)))
        self._initializers = {
            str(value.name)
            for node in nodes
            for value in node.inputs
            if value is not None and value.is_initializer()
        }

    def holds(self, name: str) -> bool:
        """Whether an initializer belongs to a Q/DQ node."""
        return name in self._initializers

    def run(self, node: ir.Node, value: Tensor | None) -> Tensor:
        """What a QuantizeLinear or DequantizeLinear node gives; integers are centred and real."""
        if node in self._stored:
            return self._constant(node)
        assert value is not None
        if node.op_type == "DequantizeLinear":
            return value * self._scale(node)
        return self._hold(value, node, self._scale(node))

    def scale_parameters(self) -> list[Tensor]:
        """Logarithms of learned scales, relative to where training starts."""
        return [step for step in self.steps if step.requires_grad]

    def trained(self) -> dict[str, np.ndarray]:
        """Integers, scales and zero points as they are now, by initializer name.

        Where a bias does not fit into 32 bits any more, its weight's scales are raised.
        """
        encodings = {node: self._now(node) for node in self._of}
        for node, bias in self._biases.items():
            weight = encodings[bias.weight]
            raised = raise_for_bias(weight, self._floats(node), encodings[bias.data].scale)
            for other in self._groups[self._of[bias.weight]].nodes:
                encodings[other] = raised
        for node, bias in self._biases.items():
            encodings[node] = bias_encoding(encodings[bias.weight], encodings[bias.data].scale)
        found: dict[str, np.ndarray] = {}
        for node, encoding in encodings.items():
            found[_name(node, 1)] = encoding.scale
            if node in self._stored:
                integers = quantize(self._floats(node), encoding)
                if encoding.dtype.signed:  # the most negative integer is not used
                    lowest = np.asarray(-encoding.dtype.qmax, integers.dtype)
                    integers = np.maximum(integers, lowest)
                found[_name(node, 0)] = self._unmoved(node, integers, encoding)
        return found

    def _unmoved(self, node: ir.Node, integers: np.ndarray, encoding: Encoding) -> np.ndarray:
        """The integers, where training changed nothing those that were there.

        A 32-bit bias has more digits than the float that stands for it.
        """
        before, values = self._started[node]
        if encoding != self._groups[self._of[node]].encoding:
            return integers
        return np.where(self._floats(node) == values, before, integers).astype(integers.dtype)

    def _floats(self, node: ir.Node) -> np.ndarray:
        stored: Tensor = self.stored[self._stored[node]]
        return np.asarray(stored.detach().cpu().numpy(), np.float32)

    def _now(self, node: ir.Node) -> Encoding:
        index = self._of[node]
        start = self._groups[index].encoding
        step = self.steps[index].detach().cpu().numpy().astype(np.float64)
        scale = np.asarray(start.scale.astype(np.float64) * np.exp(step), np.float32)
        return replace(start, scale=scale)

    def _scale(self, node: ir.Node) -> Tensor:
        index = self._of[node]
        scale: Tensor = getattr(self, f"scale_{index}") * torch.exp(self.steps[index])
        return scale

    def _constant(self, node: ir.Node) -> Tensor:
        values: Tensor = self.stored[self._stored[node]]
        bias = self._biases.get(node)
        if bias is None:
            scale = self._along(self._scale(node), node, values.ndim)
            return self._hold(values, node, scale) * scale
        scale = (self._scale(bias.data) * self._scale(bias.weight).reshape(-1)).detach()
        # Its steps are so fine that only the value counts: no gradient goes to the scales.
        return values + (torch.round(values / scale) * scale - values).detach()

    def _hold(self, values: Tensor, node: ir.Node, scale: Tensor) -> Tensor:
        """Centred integers as real numbers; rounding passes gradients straight through."""
        index = self._of[node]
        dtype = self._groups[index].encoding.dtype
        lowest = -dtype.qmax if node in self._stored and dtype.signed else dtype.qmin
        points = self._groups[index].encoding.zero_point
        first = int(points.reshape(-1)[0])
        if (points == first).all():  # the usual case, and much faster than tensors as bounds
            held = torch.clamp(values / scale, float(lowest - first), float(dtype.qmax - first))
        else:
            zero = self._along(getattr(self, f"zero_{index}"), node, values.ndim)
            held = torch.minimum(torch.maximum(values / scale, lowest - zero), dtype.qmax - zero)
        return held + (torch.round(held) - held).detach()

    def _along(self, values: Tensor, node: ir.Node, rank: int) -> Tensor:
        axis = self._groups[self._of[node]].encoding.axis
        if axis is None:
            return values
        shape = [1] * rank
        shape[axis] = -1
        return values.reshape(shape)


def _stored(node: ir.Node) -> np.ndarray | None:
    """The integers that a DequantizeLinear node reads, where they are a constant."""
    value = node.inputs[0]
    if value is None or not value.is_initializer() or value.const_value is None:
        return None
    return np.asarray(value.const_value.numpy())


def _encoding(node: ir.Node) -> Encoding:
    """The encoding of a Q or DQ node."""
    parameters = []
    for value in node.inputs[1:3]:
        if value is None or not value.is_initializer() or value.const_value is None:
            break
        parameters.append(np.asarray(value.const_value.numpy()))
    if not parameters or node.attributes.get_int("block_size", 0) != 0:
        raise ModelError(
            f"Training cannot run node '{node.name}' ({node.op_type}): its scale is computed, or "
            "there is one a block.",
            hint="Quantize the float model with the quantize stage.",
        )
    scale = parameters[0].astype(np.float32)
    held = node.outputs[0] if node.op_type == "QuantizeLinear" else node.inputs[0]
    dtype = QuantType.of(held.dtype if held is not None else None)
    if dtype is None:
        raise ModelError(f"Training cannot run node '{node.name}': it does not hold integers.")
    zero = parameters[1] if len(parameters) > 1 else np.zeros(scale.shape, dtype.numpy)
    axis = None
    if scale.size > 1 or (scale.ndim == 1 and held is not None and held.shape is not None):
        rank = len(held.shape) if held is not None and held.shape is not None else 1
        axis = node.attributes.get_int("axis", 1) % rank if scale.ndim else None
    return Encoding(dtype, scale, zero, granularity(axis))


def _biases(model: ir.Model, own: Mapping[ir.Node, Encoding]) -> dict[ir.Node, _Bias]:
    """The stored biases: 32-bit constants of an operator whose data and weight are dequantized."""
    found: dict[ir.Node, _Bias] = {}
    for node in model.graph:
        rule = quantized(node)
        producers = [value.producer() if value is not None else None for value in node.inputs]
        for index, producer in enumerate(producers):
            if rule is None or rule.role(index) is not Role.BIAS or producer is None:
                continue
            data, weight = producers[0], producers[1]
            if data is None or weight is None or not {producer, data, weight} <= own.keys():
                continue
            if own[producer].dtype is QuantType.INT32:
                found[producer] = _Bias(data, weight)
    return found


class _Ties:
    """Which Q/DQ nodes have to go on sharing an encoding (union-find)."""

    def __init__(self, own: Mapping[ir.Node, Encoding]) -> None:
        self._own = own
        self._leader = {node: node for node in own}

    def leader_of(self, node: ir.Node) -> ir.Node:
        """The node that stands for all that are tied to this one."""
        leader = self._leader
        while leader[node] is not node:
            leader[node] = leader[leader[node]]
            node = leader[node]
        return node

    def tie(self, nodes: list[ir.Node]) -> None:
        """Ties nodes to the first, as far as they have its encoding."""
        for other in nodes[1:]:
            if self._own[other] == self._own[nodes[0]]:
                self._leader[self.leader_of(other)] = self.leader_of(nodes[0])


def _grouped(
    model: ir.Model, own: Mapping[ir.Node, Encoding], biases: Mapping[ir.Node, _Bias]
) -> list[_Group]:
    """Nodes by encoding: one group for all that share it and have to go on sharing it."""
    ties = _Ties(own)
    by_scale: dict[str, list[ir.Node]] = {}
    for node in own:
        by_scale.setdefault(_name(node, 1), []).append(node)
        ties.tie([*_quantizers(node.inputs[:1], own), node])
    for nodes in by_scale.values():
        ties.tie(nodes)
    for node in model.graph:
        rule = quantized(node)
        if node in own or rule is None:
            continue
        if rule.follows:
            data = [v for i, v in enumerate(node.inputs) if rule.role(i) is Role.DATA]
            readers = [use.node for value in node.outputs for use in value.uses()]
            ties.tie([*_quantizers(data, own), *(reader for reader in readers if reader in own)])
        for producer in _quantizers(node.inputs, own):
            if producer in biases:  # one bias for several operators: one encoding of their data
                ties.tie([biases[producer].data, *_quantizers(node.inputs[:1], own)])
    groups: dict[ir.Node, _Group] = {}
    for node, encoding in own.items():
        group = groups.setdefault(ties.leader_of(node), _Group(encoding))
        group.nodes.append(node)
        value = node.inputs[0]
        giver = value.producer() if value is not None else None
        fed = value is not None and value.is_graph_input()
        known = giver is not None and spec(giver.op_type).npu.fixed_range is not None
        group.fixed |= fed or known or node in biases
    return list(groups.values())


def _quantizers(
    values: Iterable[ir.Value | None], own: Mapping[ir.Node, Encoding]
) -> list[ir.Node]:
    """The Q/DQ nodes that give these values."""
    producers = [value.producer() for value in values if value is not None]
    return [producer for producer in producers if producer is not None and producer in own]


def _name(node: ir.Node, index: int) -> str:
    value = node.inputs[index]
    assert value is not None
    return str(value.name)


def _latent(
    node: ir.Node, integers: np.ndarray, encoding: Encoding, latent: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Float values of a stored constant: what was rounded, where that is known, else the integers'.

    A known value is taken element by element where it has this very integer.
    """
    values = dequantize(integers, encoding)
    name = _name(node, 0).removesuffix("_quantized")
    known = latent.get(name)
    if known is None or known.shape != values.shape:
        return values
    same = quantize(known, encoding) == integers
    return np.where(same, known, values).astype(np.float32)
