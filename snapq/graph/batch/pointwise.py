"""A batch through operators that compute each element apart, and through Q and DQ."""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.batch.place import Batch, Rule, refuse
from snapq.graph.edit import input_at
from snapq.operators import Trait, having


def _elementwise(node: ir.Node, batch: Batch) -> None:
    """Operands are aligned at their last axes; all samples lie along one axis."""
    batch.give(node, batch.joined(node, range(len(node.inputs))))


def _quantize(node: ir.Node, batch: Batch) -> None:
    """QuantizeLinear, DequantizeLinear: one encoding for all samples."""
    place = batch.only(node)
    scale = input_at(node, 1)
    channels = batch.rank(scale) > 0 and batch.shape(scale) != (1,)
    axis = node.attributes.get_int("axis", 1) % max(batch.rank(node.inputs[0]), 1)
    if channels and axis == place.axis:
        refuse(node, "has an encoding for each element of the axis of the samples")
    batch.give(node, place)


RULES = {
    **dict.fromkeys(having(Trait.ELEMENTWISE), Rule(_elementwise)),
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), Rule(_quantize)),
}
