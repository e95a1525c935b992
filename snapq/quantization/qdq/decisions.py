"""Decides for each node in which integer type it runs, or why it stays in float."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import onnx_ir as ir

from snapq.npu.unsupported import unsupported
from snapq.operators import Encodings, OpSpec, Role, quantized
from snapq.quantization.encodings import Encoding, QuantType
from snapq.quantization.granularity import (
    PER_TENSOR,
    Granularity,
    PerAxis,
    PerBlock,
    PerTensor,
)
from snapq.quantization.precision_rules.legality import (
    FLOAT_FROM,
    Legality,
    legal,
    legal_slope,
    weightless,
)
from snapq.quantization.qdq.blockwise import takes_blocks
from snapq.quantization.qdq.parameters import weight_axis
from snapq.quantization.qdq.scheme import Scheme, integer_type

__all__ = ["KEPT_FLOAT", "Decision", "constant", "decide", "is_float", "notes"]

KEPT_FLOAT = "snapq.kept_float"
"""Metadata key of a node that the quantizer left in float on purpose; lint does not complain."""

_NO_BLOCKS = (
    "the NPU has blocks for products of 16-bit activations with a number of input channels that "
    "they divide, so its 4-bit weights have one scale a channel"
)


@dataclass(frozen=True)
class Decision:
    """What happens to one node.

    Attributes:
        rule: how its operator is quantized; None where the node stays as it is.
        dtype: the integer type of its data; None where the node stays as it is.
        weights: the integer type of its constant weight or scale.
        reason: one clause for the reader where this is not what the scheme says.
        on_cpu: the NPU has the operator neither in integers nor in float.
        granularity: which values of its constant weight share a scale.
    """

    rule: OpSpec | None = None
    dtype: QuantType | None = None
    weights: QuantType = QuantType.INT8
    reason: str | None = None
    on_cpu: bool = False
    granularity: Granularity = PER_TENSOR

    @property
    def encodings(self) -> Encodings | None:
        """How the encodings of its inputs and outputs hang together; None where it stays."""
        return self.rule.encodings if self.rule else None

    def role(self, index: int) -> Role:
        """Role of the input at `index`."""
        return self.rule.role(index) if self.rule else Role.OTHER


def decide(
    model: ir.Model, scheme: Scheme, fixed: Mapping[str, Encoding]
) -> dict[ir.Node, Decision]:
    """Decides for each node of the main graph.

    Nodes that compute are decided one by one. Nodes that only move data or clamp follow what comes
    in, unless the scheme names them: they are not worth a conversion, and what is fixed to 8 bits
    at an input stays so until it is computed with.
    """
    refused = {found.node: found.reason for found in unsupported(model)}
    decisions = {
        node: Decision(reason=refused[str(node.name)], on_cpu=True)
        if str(node.name) in refused
        else _decide_one(node, scheme)
        for node in model.graph
    }
    for node, decision in decisions.items():
        if decision.rule is None or not decision.rule.follows:
            continue
        named = scheme.per_node.get(str(node.name))
        if named is None or named.activations is None:
            dtype = _followed(node, decision, decisions, scheme, fixed)
            decisions[node] = Decision(decision.rule, dtype) if dtype else Decision()
    return decisions


def notes(decisions: Mapping[ir.Node, Decision], architecture: int) -> tuple[str, ...]:
    """One sentence for each cause that kept nodes from what the scheme says, naming the nodes."""
    causes: dict[str, list[str]] = {}
    for node, decision in decisions.items():
        if decision.reason is None:
            continue
        if decision.dtype is not None:
            consequence = ""
        elif decision.on_cpu:
            consequence = "; it runs in float on the CPU"
        elif architecture < FLOAT_FROM:
            consequence = f"; v{architecture} has no float, so it runs on the CPU"
        else:
            consequence = "; it stays in float, fp16 on the NPU"
        causes.setdefault(decision.reason + consequence, []).append(str(node.name))
    return tuple(f"{', '.join(names)}: {sentence}." for sentence, names in causes.items())


def constant(value: ir.Value | None) -> ir.TensorProtocol | None:
    """The tensor of an initializer; None for anything computed or fed."""
    if value is None or value.producer() is not None or value.is_graph_input():
        return None
    return value.const_value


def is_float(value: ir.Value | None) -> bool:
    """Whether a value can be quantized: a float32 tensor with elements."""
    if value is None or value.dtype != ir.DataType.FLOAT:
        return False
    return value.shape is None or 0 not in value.shape.dims


def _decide_one(node: ir.Node, scheme: Scheme) -> Decision:
    if any(a.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS) for a in _attributes(node)):
        return Decision(reason=f"{node.op_type} holds a graph of its own, which is left as it is")
    rule = quantized(node)
    if not any(is_float(v) for v in (*node.inputs, *node.outputs)):
        return Decision()
    if rule is None:
        return Decision(reason=f"snapq knows no integer kernel of the NPU for {node.op_type}")
    if not _quantizable(node, rule):
        return Decision()
    blocked = _blocked(node, rule)
    if blocked:
        return Decision(reason=blocked)
    return _typed(node, rule, scheme)


def _quantizable(node: ir.Node, rule: OpSpec) -> bool:
    """Whether every input that the rule would quantize, and every output, is float32.

    Operators that move integers or booleans (a Gather of a shape) are left alone.
    """
    data = [v for i, v in enumerate(node.inputs) if v is not None and rule.role(i).quantized]
    if not data or not all(is_float(v) for v in data):
        return False
    return rule.encodings is Encodings.READ or is_float(node.outputs[0])


def _blocked(node: ir.Node, rule: OpSpec) -> str | None:
    """Why the provider does not take this node in integers, whatever the types."""
    for index, value in enumerate(node.inputs):
        if value is None or constant(value) is not None:
            continue
        if rule.role(index) in (Role.BIAS, Role.SCALE):
            part = "bias" if rule.role(index) is Role.BIAS else "scale"
            return f"{node.op_type} with a computed {part} has no integer kernel"
    check = _SPECIAL.get(node.op_type)
    return check(node) if check else None


def _typed(node: ir.Node, rule: OpSpec, scheme: Scheme) -> Decision:
    """The types that the scheme wants where they are legal, else the nearest, else float."""
    name = str(node.name)
    weights, activations = scheme.precision(name)
    named = scheme.per_node.get(name)
    wanted = integer_type(activations)
    if wanted is None:
        if named is not None and named.activations is not None:
            return Decision(reason=f"{named.reason} says float")
        return Decision(rule if rule.follows else None)
    weight = QuantType(weights.value)
    refused: list[str] = []
    if weight is QuantType.INT4 and _depthwise(node) and not (named and named.weights):
        refused.append("4 bits are too few for weights of a depthwise layer")
        weight = QuantType.INT8
    for dtype, stored in _candidates(wanted, weight, _better_in_float(rule, scheme)):
        found = _legal(node, rule, dtype, stored, scheme)
        if found.ok:
            reason = _deviation(node, rule, (wanted, QuantType(weights.value)), (dtype, stored))
            clause = f"{refused[0]}, so it has {reason}" if reason and refused else None
            held = _held_type(node, rule, dtype, stored)
            shared: Granularity = _weight_granularity(node, rule, scheme)
            blocks = scheme.granularity if isinstance(scheme.granularity, PerBlock) else None
            if blocks and stored is QuantType.INT4 and _weighted(node, rule):
                if dtype.bits > 8 and takes_blocks(node, blocks.size):
                    shared = blocks
                else:
                    clause = clause or _NO_BLOCKS
            return Decision(rule, dtype, held, clause, granularity=shared)
        refused.append(found.reason)
    return Decision(reason=refused[0])


def _candidates(
    wanted: QuantType, weight: QuantType, or_float: bool
) -> Iterator[tuple[QuantType, QuantType]]:
    """Types of data and weight to try, the wanted ones first."""
    smaller = (wanted,) if or_float or wanted is QuantType.UINT8 else (wanted, QuantType.UINT8)
    for dtype in smaller:
        yield dtype, weight
        if weight is not QuantType.INT8:
            yield dtype, QuantType.INT8


def _deviation(
    node: ir.Node,
    rule: OpSpec,
    wanted: tuple[QuantType, QuantType],
    given: tuple[QuantType, QuantType],
) -> str | None:
    """What a node has instead of what was wanted: `uint8 activations and int8 weights`."""
    kinds = ("activations", "weights") if _weighted(node, rule) else ("activations",)
    parts = [
        f"{got.value} {kind}"
        for kind, want, got in zip(kinds, wanted, given, strict=False)
        if want is not got
    ]
    return " and ".join(parts) or None


def _weighted(node: ir.Node, rule: OpSpec) -> bool:
    """Whether a node has a constant weight."""
    return any(
        rule.role(index) is Role.WEIGHT and constant(value) is not None
        for index, value in enumerate(node.inputs)
    )


def _held_type(node: ir.Node, rule: OpSpec, dtype: QuantType, weight: QuantType) -> QuantType:
    """The type of the constant weight, or of a normalization's scale."""
    if _weighted(node, rule):
        return weight
    return QuantType.INT8 if dtype is QuantType.INT8 else QuantType.UINT8


def _better_in_float(rule: OpSpec, scheme: Scheme) -> bool:
    return rule.npu.better_in_float and scheme.architecture >= FLOAT_FROM


def _legal(
    node: ir.Node, rule: OpSpec, dtype: QuantType, weight: QuantType, scheme: Scheme
) -> Legality:
    architecture = scheme.architecture
    if node.op_type == "PRelu":
        slope = constant(node.inputs[1])
        return legal_slope(slope.size if slope is not None else None, dtype)
    for index, value in enumerate(node.inputs):
        if constant(value) is None or value is None:
            continue
        if rule.role(index) is Role.SCALE:
            held = _held_type(node, rule, dtype, weight)
            return legal(node.op_type, dtype, held, architecture)
        if rule.role(index) is Role.WEIGHT:
            return legal(
                node.op_type,
                dtype,
                weight,
                architecture,
                depthwise=_depthwise(node),
                per_channel=isinstance(_weight_granularity(node, rule, scheme), PerAxis),
            )
    return weightless(node.op_type, dtype, architecture)


def _weight_granularity(node: ir.Node, rule: OpSpec, scheme: Scheme) -> PerTensor | PerAxis:
    """One scale for each output channel of a constant weight, where it can have that."""
    if isinstance(scheme.granularity, PerTensor):
        return PER_TENSOR
    for index, value in enumerate(node.inputs):
        tensor = constant(value)
        if tensor is not None and rule.role(index) is Role.WEIGHT:
            axis = weight_axis(node, rule, tensor.shape.rank())
            return PER_TENSOR if axis is None else PerAxis(axis)
    return PER_TENSOR


def _depthwise(node: ir.Node) -> bool:
    if node.op_type != "Conv" or node.attributes.get_int("group", 1) == 1:
        return False
    weight = node.inputs[1]
    return bool(weight and weight.shape and weight.shape[1] == 1)


def _gemm(node: ir.Node) -> str | None:
    scaled = any(node.attributes.get_float(name, 1.0) != 1.0 for name in ("alpha", "beta"))
    if scaled and constant(node.inputs[1]) is None:
        return "Gemm with alpha or beta and a computed second input has no integer kernel"
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if (
        bias is not None
        and bias.shape is not None
        and bias.shape.rank() == 2
        and bias.shape[0] != 1
    ):
        return "Gemm with a bias for each row has no integer kernel"
    return None


_SPECIAL: dict[str, Callable[[ir.Node], str | None]] = {
    "Gemm": _gemm,
}


def _followed(
    node: ir.Node,
    decision: Decision,
    decisions: Mapping[ir.Node, Decision],
    scheme: Scheme,
    fixed: Mapping[str, Encoding],
) -> QuantType | None:
    """The type of a node that moves or clamps data: that of its source, else what is wanted."""
    rule = decision.rule
    if rule is None:
        return None
    if rule.encodings is Encodings.CLAMPED:
        return _clamp_type(node, decision, decisions)
    sources = [v for i, v in enumerate(node.inputs) if v is not None and rule.role(i).quantized]
    if rule.encodings is Encodings.SHARED:
        source = sources[0]
        if source.is_graph_input() and str(source.name) in fixed:
            return fixed[str(source.name)].dtype
        producer = source.producer()
        if producer is not None and decisions[producer].dtype is not None:
            return decisions[producer].dtype
        if source.is_graph_input() and _for_float_alone(node, decisions):
            return None
    produced = [p for v in sources if (p := v.producer()) is not None]
    types = {decisions[p].dtype for p in produced}
    if produced and types == {None}:
        return _wanted(node, decisions)
    held = types - {None}
    if (
        rule.encodings is Encodings.JOINED
        and len(types) == len(held) == 1
        and len(produced) == len(sources)
    ):
        return held.pop()
    return scheme.activation_type or max(held, key=lambda t: t.bits if t else 0, default=None)


def _clamp_type(
    node: ir.Node, decision: Decision, decisions: Mapping[ir.Node, Decision]
) -> QuantType | None:
    """A clamp joins the node whose output it alone reads, in float too."""
    source = node.inputs[0]
    producer = source.producer() if source is not None else None
    if source is None or producer is None:
        return decision.dtype
    alone = len(source.uses()) == 1 and not source.is_graph_output()
    return decisions[producer].dtype if alone else decision.dtype


def _for_float_alone(node: ir.Node, decisions: Mapping[ir.Node, Decision]) -> bool:
    """Whether what a node moves is computed with in float, and nowhere else."""
    readers = [(user, index) for output in node.outputs for user, index in output.uses()]
    if not readers or any(output.is_graph_output() for output in node.outputs):
        return False
    for user, index in readers:
        decision = decisions.get(user, Decision())
        moved = decision.encodings is Encodings.SHARED
        if moved and index == 0 and _for_float_alone(user, decisions):
            continue
        if decision.rule is not None or not decision.reason:
            return False
    return True


def _wanted(node: ir.Node, decisions: Mapping[ir.Node, Decision]) -> QuantType | None:
    """The type of the quantized node, near or far, that computes with what this node moves."""
    for output in node.outputs:
        for consumer, index in output.uses():
            decision = decisions.get(consumer, Decision())
            if decision.rule is None or not decision.role(index).quantized:
                continue
            if decision.rule.encodings not in (Encodings.SHARED, Encodings.JOINED):
                return decision.dtype
            found = _wanted(consumer, decisions)
            if found is not None:
                return found
    return None


def _attributes(node: ir.Node) -> list[ir.Attr]:
    return list(node.attributes.values())
