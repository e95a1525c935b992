"""Writes a PRelu of 16 bits as a sum with what its slopes take away.

The NPU has no PRelu with a slope for each channel at 16 bits: in fp16 between layers of 16 bits it
costs up to nine times as much as all of them. `PRelu(x) = x + Relu((a - 1) x)` for slopes `a` up to
1, where the product is a depthwise Conv of one tap, costs next to nothing, and has each slope in a
scale of its own. Estimated in us on QCS9075 (v73) and SA8797P (v81), QAIRT 2.51, four layers of 64
channels of 128 x 128 with PRelu: 2,665 and 385 as fp16, 309 and 195 so, 291 and 195 with Relu.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, aligned, constant, is_float
from snapq.graph.shapes import Shape, static_shape
from snapq.precision import ActivationType
from snapq.quantization.qdq.scheme import Scheme

__all__ = ["split_prelu"]


def split_prelu(graph: ir.Graph, scheme: Scheme) -> Scheme:
    """Writes out each PRelu of 16 bits with several constant slopes, in place.

    1. `PRelu(x, a)` becomes `x + Relu((a - 1) x)`; where a slope is above 1, its channel has
       `x - Relu((1 - a) x)`.
    2. The product is a depthwise Conv where there is a slope for each channel of a map, else a Mul.
    3. The last of the new nodes keeps the name, and all have its precision.
    """
    edit, per_node = Editor(graph), dict(scheme.per_node)
    for node in tuple(graph):
        if node.op_type != "PRelu" or node.domain != "" or not is_float(node.inputs[0]):
            continue
        name, source = str(node.name), node.inputs[0]
        slopes, shape = constant(node.inputs[1]), static_shape(node.inputs[0])
        if scheme.precision(name)[1] is not ActivationType.UINT16:
            continue
        if source is None or shape is None or slopes is None or slopes.size < 2:
            continue
        edit.begin(node)
        before = set(graph)
        edit.replace(node.outputs[0], _written(source, slopes, shape, edit))
        graph.remove(node, safe=True)
        made = [one for one in graph if one not in before]
        for one in made:
            one.outputs[0].type, one.outputs[0].shape = source.type, ir.Shape(shape)
        made[-1].name = name
        if name in scheme.per_node:
            per_node |= dict.fromkeys((str(one.name) for one in made), scheme.per_node[name])
    return replace(scheme, per_node=per_node)


def _written(source: ir.Value, slopes: np.ndarray, shape: Shape, edit: Editor) -> ir.Value:
    result = source
    if np.any(slopes < 1):
        less = _product(source, np.minimum(slopes - 1, 0), shape, edit)
        result = edit.op("Add", result, edit.op("Relu", less))
    if np.any(slopes > 1):
        more = _product(source, np.minimum(1 - slopes, 0), shape, edit)
        result = edit.op("Sub", result, edit.op("Relu", more))
    return result if result is not source else edit.op("Identity", source)


def _product(source: ir.Value, factors: np.ndarray, shape: Shape, edit: Editor) -> ir.Value:
    """A value times a factor for each channel, or as they broadcast."""
    channels = aligned(factors, shape, 1) if len(shape) == 4 else None
    if channels is None or channels.size != shape[1]:
        return edit.op("Mul", source, factors)
    return edit.op("Conv", source, channels.reshape(-1, 1, 1, 1), group=shape[1])
