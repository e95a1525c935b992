"""Writes a normalization of many channels and 16 bits as a product and a sum.

BatchNormalization is a depthwise Conv of one tap here. At 16 bits Qualcomm's compiler crashes on
some of those of more than 256 channels, on every chip (QAIRT 2.51; DenseNets have them behind each
Concat). A Mul and an Add compile, and hold their constants in 16 bits.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, input_at, ints_attribute, is_float
from snapq.precision import ActivationType
from snapq.quantization.qdq.decisions import is_depthwise
from snapq.quantization.qdq.scheme import Scheme

__all__ = ["multiply_wide_channels"]

_CHANNELS = 256


def multiply_wide_channels(graph: ir.Graph, scheme: Scheme) -> Scheme:
    """Writes out each depthwise Conv of one tap over more channels than that and 16 bits, in place.

    1. `Conv(x, w, b)` without stride and padding becomes `x * w + b`, with w and b `[C, 1, ...]`.
       The last of the new nodes keeps the name, and all have its precision.
    """
    edit, per_node = Editor(graph), dict(scheme.per_node)
    for node in tuple(graph):
        name, source = str(node.name), node.inputs[0] if node.inputs else None
        if source is None or not is_float(source) or not is_depthwise(node):
            continue
        weight = constant(node.inputs[1])
        if scheme.precision(name)[1] is not ActivationType.UINT16 or weight is None:
            continue
        if len(weight) <= _CHANNELS or not _scales(node, weight):
            continue
        bias = constant(input_at(node, 2))
        column = (len(weight), *(1 for _ in weight.shape[2:]))
        edit.begin(node)
        before = set(graph)
        result = edit.op("Mul", source, weight.reshape(column))
        result.shape, result.type = source.shape, source.type
        if bias is not None:
            result = edit.op("Add", result, bias.reshape(column))
        edit.replace(node.outputs[0], result)
        graph.remove(node, safe=True)
        made = [one for one in graph if one not in before]
        made[-1].name = name
        if name in scheme.per_node:
            per_node |= dict.fromkeys((str(one.name) for one in made), scheme.per_node[name])
    return replace(scheme, per_node=per_node)


def _scales(node: ir.Node, weight: np.ndarray) -> bool:
    """Whether a depthwise Conv multiplies each channel by one number, and no more."""
    group = node.attributes.get_int("group", 1)
    plain = not any(ints_attribute(node, "pads") or ()) and all(
        step == 1 for step in ints_attribute(node, "strides") or ()
    )
    known = input_at(node, 2) is None or constant(input_at(node, 2)) is not None
    return plain and known and group == len(weight) and max(weight.shape[1:]) == 1
