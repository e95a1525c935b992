"""Ties what goes into data movement to what comes out: the provider takes no other unit."""

from __future__ import annotations

import onnx_ir as ir

from snapq.operators import Encodings, Trait, spec_of
from snapq.quantization.qdq.decisions import Decision, constant
from snapq.quantization.qdq.groups import Groups, constant_range
from snapq.quantization.qdq.plan import QdqPlan

__all__ = ["exceeds", "mixes", "tie_moved"]


def tie_moved(plan: QdqPlan) -> QdqPlan:
    """Gives inputs and outputs of each node that moves data one encoding."""
    for node, decision in plan.decisions.items():
        if decision.encodings is Encodings.SHARED:
            _tie(plan.groups, node, decision)
    return plan


def _tie(groups: Groups, node: ir.Node, decision: Decision) -> None:
    outputs = [value for value in node.outputs if value in groups]
    if decision.dtype is None or not outputs:
        return
    for output in outputs[1:]:
        groups.tie(outputs[0], output)
    tied = False
    for index, value in enumerate(node.inputs):
        if value is None or not decision.role(index).quantized:
            continue
        tensor = constant(value)
        if tensor is not None:
            groups.include(outputs[0], constant_range(tensor))
            tied = tied or index == 0
        elif value in groups:
            tied = groups.tie(value, outputs[0]) or tied
    if tied and not exceeds(node):
        for output in outputs:
            groups.forget_source(output)


def mixes(node: ir.Node) -> bool:
    """Whether a node gives values that stand in none of its inputs: interpolated, or summed."""
    if node.op_type == "Resize":
        return node.attributes.get_string("mode", "nearest") != "nearest"
    moves = spec_of(node).has(Trait.MOVES) or node.op_type == "MaxPool"
    return not moves and node.attributes.get_string("reduction", "none") in ("add", "mul")


def exceeds(node: ir.Node) -> bool:
    """Whether a node can give values beyond the range of its inputs."""
    if node.op_type != "Resize":
        return mixes(node)
    outside = node.attributes.get_string("coordinate_transformation_mode", "")
    cubic = node.attributes.get_string("mode", "nearest") == "cubic"
    return cubic or outside == "tf_crop_and_resize"
