"""Finds in which encoding a node reads an input, where that is not how the tensor is held."""

from __future__ import annotations

from dataclasses import replace

import onnx_ir as ir

from snapq.operators import Encodings, Role, spec
from snapq.quantization.encodings import Encoding, QuantType, asymmetric
from snapq.quantization.qdq.decisions import Decision, constant
from snapq.quantization.qdq.groups import constant_range
from snapq.quantization.qdq.plan import QdqPlan
from snapq.quantization.qdq.scheme import Scheme

__all__ = ["convert_inputs", "read_otherwise"]


def convert_inputs(plan: QdqPlan) -> QdqPlan:
    """Encodings of constants in the place of activations, and of activations that are converted."""
    uses = {}
    for node, decision in plan.decisions.items():
        rule = decision.rule
        if rule is None or decision.dtype is None:
            continue
        held = next((plan.encodings[v] for v in node.outputs if v in plan.encodings), None)
        for index, value in enumerate(node.inputs):
            role = rule.role(index)
            if value is None or role not in (Role.DATA, Role.WEIGHT):
                continue
            if constant(value) is None:
                found = _converted(plan, decision, index, value, held)
            elif role is Role.WEIGHT:
                continue
            else:
                found = _of_constant(plan, decision, value, held)
            if found is not None:
                uses[node, index] = found
    return replace(plan, uses=uses)


def _of_constant(
    plan: QdqPlan, decision: Decision, value: ir.Value, held: Encoding | None
) -> Encoding:
    if held is not None and decision.encodings in (Encodings.SHARED, Encodings.JOINED):
        return held
    tensor, dtype = constant(value), decision.dtype
    assert tensor is not None
    assert dtype is not None
    return plan.given(value, dtype) or asymmetric(*constant_range(tensor), dtype)


def _converted(
    plan: QdqPlan, decision: Decision, index: int, value: ir.Value, held: Encoding | None
) -> Encoding | None:
    own = plan.encodings[value]
    if decision.encodings is Encodings.SHARED and held is not None and held != own:
        return held
    wanted = _wanted_type(index, decision, plan.scheme)
    if wanted is None or own.dtype is wanted:
        return None
    narrow = index == 1 and own.dtype is QuantType.UINT8 and wanted is QuantType.UINT16
    if plan.scheme.second_8bit and narrow and decision.rule == spec("MatMul"):
        return None
    limits = None if plan.groups.fixed(value) else plan.ranges.get(value)
    return asymmetric(*(limits or plan.groups.range(value, plan.ranges)), wanted)


def read_otherwise(plan: QdqPlan) -> list[str]:
    """Tensors that some node reads in another type than they are held in.

    Where a tensor shares its encoding, the range of all that share it says little of it alone, and
    for the reader it gets an encoding of its own.
    """
    return [
        str(value.name)
        for node, decision in plan.decisions.items()
        for index, value in enumerate(node.inputs)
        if value is not None
        and value in plan.groups
        and (wanted := _wanted_type(index, decision, plan.scheme)) is not None
        and plan.groups.dtype(value) is not wanted
    ]


def _wanted_type(index: int, decision: Decision, scheme: Scheme) -> QuantType | None:
    """The type in which a quantized node reads an activation; None where it reads none there."""
    rule, dtype = decision.rule, decision.dtype
    if rule is None or dtype is None:
        return None
    if rule.role(index) not in (Role.DATA, Role.WEIGHT):
        return None
    if index == 1 and dtype.bits > 8 and scheme.architecture < rule.npu.second_8bit_below:
        return QuantType.UINT8
    return dtype
