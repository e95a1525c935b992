"""Splits depthwise convolutions one or two channels wider than a multiple of 256.

1. A depthwise `Conv(x)` of 256 k + 1 or 256 k + 2 channels (k from 1) becomes one of 256 k channels
   and one of the rest, side by side.

The NPU computes the last channels of it wrongly: 257 channels, as spectra have, come out at 22 to
32 dB, and at 70 in two parts (simulator of QAIRT 2.51, fp16, v73 to v81).
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, constant, input_at, integers
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape

OPERATORS = ("Conv",)

_LANES, _WRONG_REST = 256, (1, 2)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Splits one convolution."""
    source, shape = node.inputs[0], static_shape(node.inputs[0])
    weight, bias = constant(node.inputs[1]), input_at(node, 2)
    biases = None if bias is None else constant(bias)
    if source is None or shape is None or weight is None or (bias is None) != (biases is None):
        return False
    channels, rest = shape[1], shape[1] % _LANES
    group = node.attributes.get_int("group", 1)
    if channels < _LANES or rest not in _WRONG_REST or group != channels != 1:
        return False
    if weight.shape[0] != channels:
        return False
    attributes = {a.name: a.value for a in node.attributes.values() if a.name != "group"}
    sizes, parts, first = (channels - rest, rest), [], 0
    pieces = edit.ops("Split", source, integers(*sizes), outputs=2, axis=1)
    for piece, size in zip(pieces, sizes, strict=True):
        piece.shape, piece.type = ir.Shape((shape[0], size, *shape[2:])), source.type
        own = [array[first : first + size] for array in (weight, biases) if array is not None]
        parts.append(edit.op("Conv", piece, *own, group=size, **attributes))
        first += size
    return edit.op("Concat", *parts, axis=1)
