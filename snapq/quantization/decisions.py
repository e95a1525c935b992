"""Decides for each node in which integer type it runs, or why it stays in float."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import onnx_ir as ir

from snapq.graph.npu_ops import unsupported
from snapq.quantization.encodings import Encoding, QuantType
from snapq.quantization.rules.legality import (
    FLOAT_FROM,
    Legality,
    legal,
    legal_slope,
    weightless,
)
from snapq.quantization.rules.operators import OPERATORS, Family, OpRule, Role
from snapq.quantization.scheme import Scheme

__all__ = ["Decision", "constant", "decide", "is_float", "notes"]

_ONNX_DOMAINS = ("", "ai.onnx")


@dataclass(frozen=True)
class Decision:
    """What happens to one node.

    Attributes:
        rule: how its operator is quantized; None where the node stays as it is.
        dtype: the integer type of its data; None where the node stays as it is.
        reason: one clause for the reader where this is not what the scheme says.
        on_cpu: the NPU has the operator neither in integers nor in float.
    """

    rule: OpRule | None = None
    dtype: QuantType | None = None
    reason: str | None = None
    on_cpu: bool = False

    def role(self, index: int) -> Role:
        """Role of the input at `index`."""
        return self.rule.role(index) if self.rule else Role.PLAIN


def decide(
    model: ir.Model, scheme: Scheme, fixed: Mapping[str, Encoding]
) -> dict[ir.Node, Decision]:
    """Decides for each node of the main graph.

    Nodes that compute are decided one by one. Nodes that only move data follow what comes in: they
    are not worth a conversion, and what is fixed to 8 bits at an input stays so until it is
    computed with.
    """
    refused = {found.node: found.reason for found in unsupported(model)}
    decisions = {
        node: Decision(reason=refused[str(node.name)], on_cpu=True)
        if str(node.name) in refused
        else _decide_one(node, scheme)
        for node in model.graph
    }
    for node, decision in decisions.items():
        rule = decision.rule
        if rule is None or rule.family not in (Family.MOVEMENT, Family.JOIN):
            continue
        dtype = _followed(node, rule, decisions, scheme, fixed)
        decisions[node] = Decision(rule, dtype) if dtype else Decision()
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
    rule = OPERATORS.get(node.op_type) if node.domain in _ONNX_DOMAINS else None
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


def _quantizable(node: ir.Node, rule: OpRule) -> bool:
    """Whether every input that the rule would quantize, and every output, is float32.

    Operators that move integers or booleans (a Gather of a shape) are left alone.
    """
    data = [
        v for i, v in enumerate(node.inputs) if v is not None and rule.role(i) is not Role.PLAIN
    ]
    if not data or not all(is_float(v) for v in data):
        return False
    return rule.family is Family.READ or is_float(node.outputs[0])


def _blocked(node: ir.Node, rule: OpRule) -> str | None:
    """Why the provider does not take this node in integers, whatever the types."""
    for index, value in enumerate(node.inputs):
        if value is None or constant(value) is not None:
            continue
        if rule.role(index) in (Role.BIAS, Role.SCALE):
            part = "bias" if rule.role(index) is Role.BIAS else "scale"
            return f"{node.op_type} with a computed {part} has no integer kernel"
    check = _SPECIAL.get(node.op_type)
    return check(node) if check else None


def _typed(node: ir.Node, rule: OpRule, scheme: Scheme) -> Decision:
    """The scheme's activation type where it is legal, else 8 bits where they are, else float."""
    wanted = scheme.activation_type
    found = _legal(node, rule, wanted, scheme)
    if found.ok:
        return Decision(rule, wanted)
    smaller = QuantType.UINT8
    if wanted is not smaller and not _better_in_float(node, scheme):
        fallback = _legal(node, rule, smaller, scheme)
        if fallback.ok:
            return Decision(rule, smaller, f"{found.reason}, so it has {smaller.value}")
    return Decision(reason=found.reason)


def _better_in_float(node: ir.Node, scheme: Scheme) -> bool:
    return node.op_type == "PRelu" and scheme.architecture >= FLOAT_FROM


def _legal(node: ir.Node, rule: OpRule, dtype: QuantType, scheme: Scheme) -> Legality:
    architecture = scheme.architecture
    if node.op_type == "PRelu":
        slope = constant(node.inputs[1])
        return legal_slope(slope.size if slope is not None else None, dtype)
    for index, value in enumerate(node.inputs):
        if constant(value) is None:
            continue
        if rule.role(index) is Role.SCALE:
            return legal(node.op_type, dtype, QuantType.UINT8, architecture)
        if rule.role(index) is Role.WEIGHT:
            kind = "DepthwiseConv" if _depthwise(node) else node.op_type
            return legal(kind, dtype, scheme.weight_type, architecture)
    return weightless(node.op_type, dtype, architecture)


def _depthwise(node: ir.Node) -> bool:
    weight = node.inputs[1]
    group = node.attributes.get_int("group", 1)
    return bool(
        node.op_type == "Conv" and group > 1 and weight and weight.shape and weight.shape[1] == 1
    )


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
    rule: OpRule,
    decisions: Mapping[ir.Node, Decision],
    scheme: Scheme,
    fixed: Mapping[str, Encoding],
) -> QuantType | None:
    """The type of a node that moves data: that of its source, else what is wanted of it."""
    sources = [
        v for i, v in enumerate(node.inputs) if v is not None and rule.role(i) is not Role.PLAIN
    ]
    if rule.family is Family.MOVEMENT:
        source = sources[0]
        if source.is_graph_input() and str(source.name) in fixed:
            return fixed[str(source.name)].dtype
        producer = source.producer()
        if producer is not None and decisions[producer].dtype is not None:
            return decisions[producer].dtype
    produced = [v.producer() for v in sources if v.producer() is not None]
    if produced and all(p is not None and decisions[p].dtype is None for p in produced):
        return scheme.activation_type if _wanted(node, decisions) else None
    return scheme.activation_type


def _wanted(node: ir.Node, decisions: Mapping[ir.Node, Decision]) -> bool:
    """Whether a quantized node computes with what this node moves, near or far."""
    for output in node.outputs:
        for consumer, index in output.uses():
            decision = decisions.get(consumer, Decision())
            if decision.rule is None or decision.role(index) is Role.PLAIN:
                continue
            if decision.rule.family not in (Family.MOVEMENT, Family.JOIN):
                return True
            if _wanted(consumer, decisions):
                return True
    return False


def _attributes(node: ir.Node) -> list[ir.Attr]:
    return list(node.attributes.values())
