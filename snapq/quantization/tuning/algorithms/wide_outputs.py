"""Wide outputs: the small layers that give the outputs compute in 16 bits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod

import onnx_ir as ir

from snapq.graph.shapes import static_shape
from snapq.operators import Encodings, Role, quantized
from snapq.precision import ActivationType
from snapq.quantization.precision_rules.keep_wide import FIRST_16_BIT
from snapq.quantization.qdq.decisions import constant, is_float
from snapq.quantization.qdq.scheme import NodePrecision, Source
from snapq.quantization.tuning.algorithms.base import Stage, Study, register

__all__ = ["widen_outputs"]

_SHARE = 0.001
"""Of all values that flow through the model, at most this share flows through the layers that are
widened, so that they cost next to nothing. By Qualcomm's estimate on QCS9075, w8a8: 0.2 % more
cycles for 0.02 % of the values (EfficientNet-Lite0); 11 % for 2.6 % (CenterFace's four maps)."""
_BITS = 8
_WIDE = NodePrecision(
    activations=ActivationType.UINT16, reason="an output of a small layer", source=Source.RULE
)


@register("wide-outputs", Stage.TYPES)
def widen_outputs(study: Study) -> Study | None:
    """Gives each output, and the layer that computes it, 16 bits where that layer is small.

    Nothing comes after an output that could average its rounding away: two classes within one step
    of 8 bits are the same to whoever asks which is larger. The weights stay as they are.
    """
    scheme = study.scheme
    activations = scheme.activation_type
    narrow = activations is not None and activations.bits == _BITS
    if not narrow or not scheme.keep_wide or study.model.opset_imports.get("", 0) < FIRST_16_BIT:
        return None
    left = _SHARE * sum(_size(value) for node in study.model.graph for value in node.outputs)
    chosen: dict[str, NodePrecision] = {}
    for output in study.model.graph.outputs:
        names = {str(node.name) for node in _head(output)}
        traffic = _traffic(output)
        if names.isdisjoint(scheme.per_node) and traffic <= left:
            chosen |= dict.fromkeys(names, _WIDE)
            left -= traffic
    if not chosen:
        return None
    per_node: Mapping[str, NodePrecision] = {**scheme.per_node, **chosen}
    return replace(study, scheme=replace(scheme, per_node=per_node))


def _head(output: ir.Value) -> list[ir.Node]:
    """The layer behind an output and what follows it, the last node first; empty for none.

    Nothing else may read what flows between them, as each such reader would need a conversion.
    """
    nodes: list[ir.Node] = []
    value: ir.Value | None = output
    while value is not None:
        node = value.producer()
        read = len(value.uses()) + value.is_graph_output()
        if node is None or read != 1 or len(node.outputs) != 1 or not is_float(value):
            return []
        rule = quantized(node)
        if rule is None or rule.encodings is Encodings.READ:
            return []
        nodes.append(node)
        if Role.WEIGHT in rule.roles:
            return nodes if constant(node.inputs[1]) is not None else []
        given = [one for one in node.inputs if one is not None and constant(one) is None]
        value = given[0] if len(given) == 1 else None
    return []


def _traffic(output: ir.Value) -> int:
    """Values that flow in and out of the nodes of a head."""
    nodes = _head(output)
    return sum(_size(node.inputs[0]) + _size(node.outputs[0]) for node in nodes)


def _size(value: ir.Value | None) -> int:
    shape = static_shape(value)
    return prod(shape) if shape is not None else 0
