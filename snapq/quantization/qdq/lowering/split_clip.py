"""Writes a Clip as Max and Min where the NPU would lose a bound of it.

Qualcomm's compiler takes a Clip into the Conv, Add or Mul in front and leaves what it bounds to the
encoding of the output: a lower bound above 0 is lost, as encodings hold 0 (21 dB instead of 45 at
w8a8, 80 at w8a16), and at 16 bits, behind Add at 8 too, every bound is where the output's encoding
is wider, as that of a Concat is (0 to 10 dB instead of 40 to 80; simulator of QAIRT 2.51, v68 to
v81). Max and Min keep their bounds, and a Relu does.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, input_at, is_float, scalar
from snapq.operators import Encodings, Family, quantized, spec_of
from snapq.precision import ActivationType
from snapq.quantization.qdq.scheme import Scheme

__all__ = ["split_clip"]

_LEAST = 1e-3
"""A lower bound nearer to 0 is there against a division by 0; a step of the encoding is larger."""


def split_clip(graph: ir.Graph, scheme: Scheme) -> Scheme:
    """Writes out each Clip whose bounds are lost, in place.

    1. Its lower bound is above 0, or its upper bound below; or
    2. it has 16 bits or stands behind arithmetic, and what it gives goes, through data movement
       alone, into a node that holds it in one encoding with other data.
    3. It becomes `Min(Max(x, low), high)`, with Relu for a lower bound of 0. The last of the new
       nodes keeps the name, and all have its precision.
    """
    edit, per_node = Editor(graph), dict(scheme.per_node)
    for node in tuple(graph):
        if node.op_type != "Clip" or node.domain != "" or not is_float(node.inputs[0]):
            continue
        name = str(node.name)
        low, high = (scalar(input_at(node, index)) for index in (1, 2))
        given = [index for index in (1, 2) if input_at(node, index) is not None]
        known = {1: low, 2: high}
        activations = scheme.precision(name)[1]
        if activations is ActivationType.FLOAT16 or any(known[index] is None for index in given):
            continue
        outside = (low is not None and low >= _LEAST) or (high is not None and high <= -_LEAST)
        maker = node.inputs[0].producer() if node.inputs[0] is not None else None
        taken = maker is not None and spec_of(maker).family is Family.ARITHMETIC
        wide = (taken or activations is ActivationType.UINT16) and _shares(node.outputs[0])
        if not (outside or wide):
            continue
        edit.begin(node)
        before = set(graph)
        edit.replace(node.outputs[0], _written(node.inputs[0], low, high, edit))
        graph.remove(node, safe=True)
        made = [one for one in graph if one not in before]
        made[-1].name = name
        if name in scheme.per_node:
            per_node |= dict.fromkeys((str(one.name) for one in made), scheme.per_node[name])
    return replace(scheme, per_node=per_node)


def _written(
    source: ir.Value | None, low: float | None, high: float | None, edit: Editor
) -> ir.Value:
    assert source is not None
    result = source
    if low is not None:
        zero = low == 0
        result = (
            edit.op("Relu", result) if zero else edit.op("Max", result, np.array(low, np.float32))
        )
    if high is not None:
        result = edit.op("Min", result, np.array(high, np.float32))
    return result


def _shares(value: ir.Value) -> bool:
    """Whether data movement brings a value together with other data."""
    for use in value.uses():
        row = quantized(use.node)
        if row is None or row.encodings not in (Encodings.SHARED, Encodings.JOINED):
            continue
        others = [one for one in use.node.inputs if one is not None and one is not value]
        data = [one for one in others if is_float(one)]
        if data or any(_shares(result) for result in use.node.outputs):
            return True
    return False
