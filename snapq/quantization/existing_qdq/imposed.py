"""Encodings made elsewhere, brought into the form that the NPU takes.

What is only written differently is kept exactly (signed activations are shifted to unsigned ones);
what the NPU has no kernel for is dropped, so that the quantizer makes it anew, and named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import input_at
from snapq.operators import Encodings, OpSpec, Role, quantized
from snapq.precision import ActivationType, WeightType
from snapq.quantization.encodings import Encoding, QuantType, asymmetric
from snapq.quantization.existing_qdq.spare_range import SpareRange
from snapq.quantization.granularity import PerAxis
from snapq.quantization.notes import Note, NoteKind
from snapq.quantization.precision_rules.legality import FLOAT_FROM
from snapq.quantization.qdq.block_scales import in_steps, takes_blocks
from snapq.quantization.qdq.decisions import constant, is_float
from snapq.quantization.qdq.parameters import weight_axis
from snapq.quantization.qdq.scheme import NodePrecision, Scheme

__all__ = ["Conditions", "Imposed", "impose"]

_UNSIGNED = {QuantType.INT8: QuantType.UINT8, QuantType.INT16: QuantType.UINT16}
_SIGNED = {QuantType.UINT4: QuantType.INT4, QuantType.UINT8: QuantType.INT8}
_ACTIVATIONS = {QuantType(t.value): t for t in (ActivationType.UINT8, ActivationType.UINT16)}
_WEIGHTS = {QuantType(t.value): t for t in WeightType}


@dataclass(frozen=True)
class Conditions:
    """What holds for a whole model.

    Attributes:
        architecture: Hexagon version, the lowest of all devices.
        float16: whether all devices compute floats, which is a matter of the SoC.
        bare: type of what a node gives that came without an encoding, where others around it have
            one.
    """

    architecture: int
    float16: bool = True
    bare: ActivationType = ActivationType.UINT8

    @property
    def floats(self) -> bool:
        """Whether parts of a model can stay in float."""
        return self.float16 and self.architecture >= FLOAT_FROM


@dataclass(frozen=True)
class Imposed:
    """Encodings that the quantizer can impose, and the scheme that they add up to.

    Attributes:
        encodings: by tensor name.
        scheme: the most common type of activations, and int8 for weights that are made anew; nodes
            with other types, and those without any encoding, are named in `per_node`.
        weights: the most common type of weights.
        notes: for the reader: what was changed, dropped or left in float.
        bare: names of nodes that came without an encoding of what they give, and stay integer.
    """

    encodings: dict[str, Encoding]
    scheme: Scheme
    weights: WeightType
    notes: tuple[Note, ...]
    bare: tuple[str, ...] = ()


def impose(
    model: ir.Model,
    encodings: Mapping[str, Encoding],
    conditions: Conditions,
    floats: Collection[str] = (),
) -> Imposed:
    """Fits encodings, by tensor name, to a prepared float model and the devices.

    The nodes that give `floats`, tensors that shall stay in float, stay in float too.
    """
    work = _Work(model, conditions)
    for name, encoding in encodings.items():
        work.take(name, encoding)
    return work.result(floats)


def _bits(activations: ActivationType) -> int:
    return QuantType(activations.value).bits


_UNKNOWN = NodePrecision(activations=ActivationType.FLOAT16, reason="having no encoding, its maker")


_FINE_SOFTMAX = NodePrecision(
    activations=ActivationType.UINT16, reason="the NPU's coarse Softmax of 8 bits"
)
"""At 8 bits it is 6 to 11 dB below the CPU's of the same encodings (attention of 64 tokens)."""


def _without_idle_half(value: ir.Value, encoding: Encoding) -> Encoding:
    """16 bits from the lower bound of a Clip or Relu on, where its codes go far below that.

    The compiler takes the node into the layer in front, and its bound is then lost: -5 dB. Signed
    types give half of the codes to what never comes, so these are finer too.
    """
    node = value.producer()
    if node is None or encoding.dtype.bits != 16 or encoding.axis is not None:
        return encoding
    low = 0.0 if node.op_type == "Relu" else None
    if node.op_type == "Clip" and (limit := constant(input_at(node, 1))) is not None:
        low = min(0.0, float(limit.numpy()))
    if low is None or float(encoding.minimum) >= low - float(encoding.scale):
        return encoding
    return asymmetric(low, float(encoding.maximum), QuantType.UINT16)


def _is_softmax(node: ir.Node | None) -> bool:
    return node is not None and node.op_type == "Softmax"


@dataclass
class _Work:
    model: ir.Model
    conditions: Conditions
    kept: dict[str, Encoding] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    bare: list[str] = field(default_factory=list)

    def take(self, name: str, encoding: Encoding) -> None:
        """Keeps an encoding, or says why not."""
        value = self._values.get(name)
        if value is None:
            return
        if _is_softmax(value.producer()) and encoding.dtype.bits == 8:
            self.counts["of a Softmax have 8 bits, at which the NPU is coarse; it has 16"] += 1
            return
        computed = constant(value) is None
        encoding = _without_idle_half(value, encoding)
        fitted = self._activation(encoding) if computed else self._constant(value, encoding)
        if fitted is not None:
            self.kept[name] = fitted

    def result(self, floats: Collection[str]) -> Imposed:
        """The scheme of what was kept."""
        activations = self._most_common(QuantType.UINT8, constants=False)
        weights = self._most_common(QuantType.INT8, constants=True)
        scheme = Scheme(
            activations=_ACTIVATIONS[activations],
            architecture=self.conditions.architecture,
            float16=self.conditions.float16,
            observer=SpareRange(),
        )
        per_node: dict[str, NodePrecision] = {}
        for node in self.model.graph:
            own = self._precision(node, scheme, floats)
            if own is not _UNKNOWN and self._follows_unknown(node, per_node):
                own = _UNKNOWN
            if own is not None:
                per_node[str(node.name)] = own
        # What another tool left in 8 bits, it measured so.
        scheme = replace(scheme, per_node=per_node, keep_wide=False)
        notes = [
            Note(NoteKind.ENCODINGS, (), f"{count} encodings {what}.")
            for what, count in self.counts.items()
        ]
        return Imposed(self.kept, scheme, _WEIGHTS[weights], tuple(notes), tuple(self.bare))

    @cached_property
    def _values(self) -> dict[str, ir.Value]:
        graph = self.model.graph
        given = (output for node in graph for output in node.outputs)
        values = (*graph.inputs, *graph.initializers.values(), *given)
        return {str(value.name): value for value in values}

    def _activation(self, encoding: Encoding) -> Encoding | None:
        if encoding.axis is not None:
            self.counts["have a scale for each channel of an activation; measured anew"] += 1
            return None
        if encoding.dtype in _UNSIGNED:
            self.counts["are signed, and became unsigned with the same values"] += 1
            return shifted(encoding, _UNSIGNED[encoding.dtype])
        if encoding.dtype not in _ACTIVATIONS:
            self.counts[
                f"are {encoding.dtype.value}, which the NPU has not for activations; measured anew"
            ] += 1
            return None
        return encoding

    def _constant(self, value: ir.Value, encoding: Encoding) -> Encoding | None:
        roles = {(rule, node, rule.role(index)) for rule, node, index in _readers(value)}
        if not any(role is Role.WEIGHT for _, _, role in roles):
            if any(role in (Role.SCALE, Role.BIAS) for _, _, role in roles):
                return None  # the quantizer has one form for them, the NPU's
            return self._activation(encoding)
        if encoding.dtype in _SIGNED and (encoding.axis is not None or encoding.dtype.bits == 4):
            encoding = shifted(encoding, _SIGNED[encoding.dtype])
        if encoding.dtype.signed and encoding.zero_point.any():
            self.counts["of weights have a zero point, which the NPU has not; made anew"] += 1
            return None
        if encoding.dtype not in _WEIGHTS:
            self.counts[f"of weights are {encoding.dtype.value}; made anew"] += 1
            return None
        if encoding.block:
            readers = [node for _, node, role in roles if role is Role.WEIGHT]
            if in_steps(encoding) and all(takes_blocks(node, encoding.block) for node in readers):
                return encoding
            self.counts["of weights have blocks that the NPU has not; made anew"] += 1
            return None
        rank = value.shape.rank() if value.shape is not None else 0
        axes = {weight_axis(node, rank) for rule, node, role in roles if role is Role.WEIGHT}
        if encoding.axis is not None and axes != {encoding.axis}:
            self.counts["of weights are not by output channel; made anew"] += 1
            return None
        (axis,) = axes if len(axes) == 1 else (None,)
        return _spread(encoding, axis, value) if encoding.dtype.bits == 4 else encoding

    def _most_common(self, otherwise: QuantType, *, constants: bool) -> QuantType:
        found = Counter[QuantType]()
        for name, encoding in self.kept.items():
            value = self._values[name]
            weight = any(rule.role(i) is Role.WEIGHT for rule, _, i in _readers(value))
            if (constant(value) is not None) is constants and (weight or not constants):
                found[encoding.dtype] += 1
        return found.most_common(1)[0][0] if found else otherwise

    def _follows_unknown(self, node: ir.Node, per_node: Mapping[str, NodePrecision]) -> bool:
        """Whether all that a node computes with comes from nodes without encodings.

        Such a node is the last one of a float part: what it gives has an encoding, what it takes
        has none.
        """
        rule = quantized(node)
        if rule is None or rule.encodings is not Encodings.OWN or not self.conditions.floats:
            return False
        taken = [value for _, value in _data(node, rule) if constant(value) is None]
        makers = [_maker(value) for value in taken if str(value.name) not in self.kept]
        unknown = [m for m in makers if m and per_node.get(str(m.name)) is _UNKNOWN]
        return bool(taken) and len(unknown) == len(taken)

    def _precision(
        self, node: ir.Node, scheme: Scheme, floats: Collection[str]
    ) -> NodePrecision | None:
        """How a node differs from the scheme; None where it does not."""
        rule = quantized(node)
        if rule is None or rule.follows:
            return None
        if any(str(value.name) in floats for value in node.outputs):
            return NodePrecision(activations=ActivationType.FLOAT16, reason="the encodings file")
        data = _data(node, rule)
        around = [v for v in (*(v for _, v in data), *node.outputs) if is_float(v)]
        if around and self.conditions.floats and not self._types(around):
            return _UNKNOWN
        if _is_softmax(node) and scheme.activations is ActivationType.UINT8:
            return _FINE_SOFTMAX
        stored = [v for role, v in data if role is Role.WEIGHT and constant(v) is not None]
        activations = next((_ACTIVATIONS[held] for held in self._types(node.outputs)), None)
        if activations is None and around and not self._clamped(node):
            self.bare.append(str(node.name))
            activations = max(self.conditions.bare, scheme.activations, key=_bits)
        weights = next((_WEIGHTS[held] for held in self._types(stored)), None)
        own = NodePrecision(
            weights=weights if weights is not scheme.weights else None,
            activations=activations if activations is not scheme.activations else None,
            reason="the encodings given",
        )
        return own if own.weights or own.activations else None

    def _clamped(self, node: ir.Node) -> bool:
        """Whether what a node gives has the encoding of what bounds or moves it behind the node."""
        seen = list(node.outputs)
        while seen:
            value = seen.pop()
            readers = [user for user, _ in value.uses()]
            if len(readers) != 1 or value.is_graph_output():
                continue
            rule = quantized(readers[0])
            if rule is None or rule.encodings not in (Encodings.CLAMPED, Encodings.SHARED):
                continue
            if self._types(readers[0].outputs):
                return True
            seen.extend(readers[0].outputs)
        return False

    def _types(self, values: Iterable[ir.Value]) -> list[QuantType]:
        """The types of those that have an encoding."""
        names = (str(value.name) for value in values)
        return [self.kept[name].dtype for name in names if name in self.kept]


def _maker(value: ir.Value) -> ir.Node | None:
    """The node that computes what a tensor holds, behind those that only move it."""
    node = value.producer()
    while node is not None and node.inputs and (rule := quantized(node)) is not None:
        if rule.encodings is not Encodings.SHARED or node.inputs[0] is None:
            break
        node = node.inputs[0].producer()
    return node


def shifted(encoding: Encoding, dtype: QuantType) -> Encoding:
    """The same real numbers held in the signed or unsigned type of the same width."""
    zero = encoding.zero_point.astype(np.int64) + (dtype.qmin - encoding.dtype.qmin)
    return replace(encoding, dtype=dtype, zero_point=zero.astype(dtype.numpy))


def _spread(encoding: Encoding, axis: int | None, value: ir.Value) -> Encoding:
    """One scale repeated for each channel: at 4 bits the NPU wants that form."""
    if encoding.axis is not None or axis is None or value.shape is None:
        return encoding
    channels = int(value.shape.numpy()[axis])
    return Encoding(
        encoding.dtype,
        np.full(channels, encoding.scale, np.float32),
        np.full(channels, encoding.zero_point),
        PerAxis(axis),
    )


def _readers(value: ir.Value) -> list[tuple[OpSpec, ir.Node, int]]:
    return [
        (rule, node, index) for node, index in value.uses() if (rule := quantized(node)) is not None
    ]


def _data(node: ir.Node, rule: OpSpec) -> list[tuple[Role, ir.Value]]:
    return [
        (rule.role(index), value)
        for index, value in enumerate(node.inputs)
        if value is not None and rule.role(index) in (Role.DATA, Role.WEIGHT)
    ]
