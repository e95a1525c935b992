"""Writes a Tanh over 16 places of one row as one over 4 x 4 places.

At 16 bits the NPU's Tanh is wrong for a map of 1 x 16 places, whatever its channels are: 16 rows of
a matrix product, a Conv over 16 steps. It has -1 to -4 dB behind a layer, and in front of a Slice;
15, 17, 32 places and every other map are right, and so are 4 x 4 (77 dB; simulator of QAIRT 2.51,
v68 to v81).
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, integers, is_float
from snapq.graph.shapes import Shape, static_shape
from snapq.quantization.encodings import QuantType
from snapq.quantization.qdq.scheme import Scheme, integer_type

__all__ = ["square_tanh_rows"]

_PLACES, _SIDE = 16, 4


def square_tanh_rows(graph: ir.Graph, scheme: Scheme) -> Scheme:
    """Puts a Reshape on either side of each such Tanh, in place; the Tanh keeps its name."""
    edit = Editor(graph)
    for node in tuple(graph):
        source, wide = node.inputs[0] if node.inputs else None, QuantType.UINT16
        if node.op_type != "Tanh" or integer_type(scheme.precision(str(node.name))[1]) is not wide:
            continue
        shape = static_shape(source)
        squared = _squared(shape) if shape is not None else None
        if source is None or shape is None or squared is None or not is_float(source):
            continue
        edit.begin(node)
        entered = edit.op("Reshape", source, integers(*squared))
        result = edit.op("Tanh", entered)
        for value in (entered, result):
            value.type, value.shape = source.type, ir.Shape(squared)
        made = result.producer()
        edit.replace(node.outputs[0], edit.op("Reshape", result, integers(*shape)))
        graph.remove(node, safe=True)
        if made is not None:
            made.name = node.name
    return scheme


def _squared(shape: Shape) -> Shape | None:
    """The shape with 4 x 4 in the place of 1 x 16, with channels last or first; None for others."""
    if len(shape) == 2 and shape[0] == _PLACES:
        return _SIDE, _SIDE, shape[1]
    for axis in (len(shape) - 2, len(shape) - 1):
        if len(shape) not in (3, 4) or shape[axis] != _PLACES:
            continue
        if len(shape) == 3 and shape[0] == 1:
            return (*shape[:axis], _SIDE, _SIDE, *shape[axis + 1 :])
        if len(shape) == 4 and shape[axis - 1] == 1:
            return (*shape[: axis - 1], _SIDE, _SIDE, *shape[axis + 1 :])
    return None
