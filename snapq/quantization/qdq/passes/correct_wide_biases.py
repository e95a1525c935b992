"""Moves biases of layers with 16-bit data by what the NPU cuts off, see `wide_bias`."""

from __future__ import annotations

from dataclasses import replace

from snapq.quantization.encodings import quantize
from snapq.quantization.qdq.plan import QdqPlan
from snapq.quantization.qdq.wide_bias import adds_in_steps, in_npu_steps

__all__ = ["correct_wide_biases"]


def correct_wide_biases(plan: QdqPlan) -> QdqPlan:
    """Gives layers that are summed in steps biases with which they are right on average."""
    stored = dict(plan.stored)
    for node, held in plan.stored.items():
        read = plan.read(node, 0)
        if read is None or len(held) != 2:
            continue
        weight, bias = held.values()
        if adds_in_steps(node.op_type, read, weight.encoding):
            integers = quantize(weight.values, weight.encoding)
            moved = in_npu_steps(bias.values, node, integers, weight.encoding.scale, read)
            _, index = held
            stored[node] = {**held, index: replace(bias, values=moved)}
    return replace(plan, stored=stored)
