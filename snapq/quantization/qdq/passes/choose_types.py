"""Chooses for each node that computes in which integer type it runs, or why it stays in float."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import onnx_ir as ir

from snapq.npu.unsupported import unsupported
from snapq.operators import Encodings, OpSpec, Role, quantized
from snapq.quantization.encodings import QuantType
from snapq.quantization.granularity import PER_TENSOR, Granularity, PerAxis, PerBlock, PerTensor
from snapq.quantization.precision_rules.legality import (
    FLOAT_FROM,
    Legality,
    legal,
    legal_slope,
    weightless,
)
from snapq.quantization.qdq.block_scales import takes_blocks
from snapq.quantization.qdq.decisions import Decision, constant, is_depthwise, is_float
from snapq.quantization.qdq.parameters import weight_axis
from snapq.quantization.qdq.plan import QdqPlan
from snapq.quantization.qdq.scheme import Scheme, integer_type
from snapq.quantization.qdq.searched_codes import is_searched_by_codes

__all__ = ["choose_types"]

_NO_BLOCKS = (
    "the NPU has blocks for products of 16-bit activations with a number of input channels that "
    "they divide, so its 4-bit weights have one scale a channel"
)


def choose_types(plan: QdqPlan) -> QdqPlan:
    """Decides for each node of the main graph on its own.

    The types are those of the scheme where they are legal, else the nearest, else float.
    """
    refused = {found.node: found.reason for found in unsupported(plan.model)}
    decisions = {
        node: Decision(reason=refused[str(node.name)], on_cpu=True)
        if str(node.name) in refused
        else _decide_one(node, plan.scheme)
        for node in plan.graph
    }
    return replace(plan, decisions=decisions)


def _decide_one(node: ir.Node, scheme: Scheme) -> Decision:
    graphs = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)
    if any(attribute.type in graphs for attribute in node.attributes.values()):
        return Decision(reason=f"{node.op_type} holds a graph of its own, which is left as it is")
    rule = quantized(node)
    if not any(is_float(v) for v in (*node.inputs, *node.outputs)):
        return Decision()
    if is_searched_by_codes(node, scheme):
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
    return _gemm(node) if node.op_type == "Gemm" else None


def _typed(node: ir.Node, rule: OpSpec, scheme: Scheme) -> Decision:
    """The types that the scheme wants where they are legal, else the nearest, else float."""
    name = str(node.name)
    weights, activations = scheme.precision(name)
    named = scheme.per_node.get(name)
    wanted = integer_type(activations)
    if wanted is None:
        if named is not None and named.activations is not None:
            return Decision(reason=f"{named.reason} says float", source=named.source)
        return Decision(rule if rule.follows else None)
    weight = QuantType(weights.value)
    refused: list[str] = []
    if weight is QuantType.INT4 and is_depthwise(node) and not (named and named.weights):
        refused.append("4 bits are too few for weights of a depthwise layer")
        weight = QuantType.INT8
    in_float = rule.npu.better_in_float and scheme.float16 and scheme.architecture >= FLOAT_FROM
    for dtype, stored in _candidates(wanted, weight, in_float):
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
            apart = scheme.scales_apart
            return Decision(rule, dtype, held, clause, granularity=shared, scales_apart=apart)
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
                depthwise=is_depthwise(node),
                per_channel=_has_scales(value, _weight_granularity(node, rule, scheme)),
            )
    return weightless(node.op_type, dtype, architecture)


def _has_scales(weight: ir.Value, shared: Granularity) -> bool:
    """Whether a weight has several scales: with one output channel the provider sees one."""
    tensor = constant(weight)
    return isinstance(shared, PerAxis) and tensor is not None and tensor.shape[shared.axis] != 1


def _weight_granularity(node: ir.Node, rule: OpSpec, scheme: Scheme) -> PerTensor | PerAxis:
    """One scale for each output channel of a constant weight, where it can have that."""
    if isinstance(scheme.granularity, PerTensor):
        return PER_TENSOR
    for index, value in enumerate(node.inputs):
        tensor = constant(value)
        if tensor is not None and rule.role(index) is Role.WEIGHT:
            axis = weight_axis(node, tensor.shape.rank())
            return PER_TENSOR if axis is None else PerAxis(axis)
    return PER_TENSOR


def _gemm(node: ir.Node) -> str | None:
    scaled = any(node.attributes.get_float(name, 1.0) != 1.0 for name in ("alpha", "beta"))
    if scaled and constant(node.inputs[1]) is None:
        return "Gemm with alpha or beta and a computed second input has no integer kernel"
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    shape = bias.shape if bias is not None else None
    if shape is not None and shape.rank() == 2 and shape[0] != 1:
        return "Gemm with a bias for each row has no integer kernel"
    return None
