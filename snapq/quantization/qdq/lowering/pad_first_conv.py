"""Gives the padding of a first Conv to a Pad in front, where that is the compiler's quicker way in.

Of float pictures in NCHW at 8 bits, the compiler has a quicker way in for those above 50,176 pixels
than for those below, and with a Pad of its own in front a picture of 224 x 224 is one of them. A
Conv of 3 x 3 and stride 2 goes from 143 to 105 us by Qualcomm's estimate for QCS9075,
EfficientNet-Lite0 as a whole from 460 to 370 thousand cycles. Everywhere else the Pad costs time (a
causal filter over 64 channels: 25 to 271 us), and 16 bits and NHWC codes gain nothing by it. A Pad
behind alone is right for rows of whole multiples of 32 elements only: of others the NPU leaves the
last column unwritten.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Names, add_constant
from snapq.graph.shapes import static_shape
from snapq.quantization.qdq.scheme import Scheme

__all__ = ["pad_first_conv"]

_SMALL_PICTURE = 224 * 224
"""Pixels up to which a picture takes the slow way in."""
_PICTURE_CHANNELS = range(3, 9)
_WHOLE_ROW = 32
"""Elements of which a row is a multiple, or its Pad must have some in front."""


def pad_first_conv(graph: ir.Graph, scheme: Scheme) -> Scheme:
    """Puts a Pad in front of each Conv that reads a picture which padding makes a large one."""
    names = Names(graph)
    for node in tuple(graph):
        if node.op_type == "Conv" and _grows_large(node, scheme):
            _pad_before(graph, node, names)
    return scheme


def _grows_large(node: ir.Node, scheme: Scheme) -> bool:
    source = node.inputs[0]
    shape = static_shape(source)
    pads = node.attributes.get_ints("pads", ())
    if source is None or shape is None or not source.is_graph_input() or len(pads) != 4:
        return False
    if shape[1] not in _PICTURE_CHANNELS or scheme.precision(str(node.name))[1].bits != 8:
        return False
    if not any(pads[:2]) and shape[3] % _WHOLE_ROW:
        return False
    rows, columns = shape[2] + pads[0] + pads[2], shape[3] + pads[1] + pads[3]
    return shape[2] * shape[3] <= _SMALL_PICTURE < rows * columns


def _pad_before(graph: ir.Graph, node: ir.Node, names: Names) -> None:
    source = node.inputs[0]
    shape = static_shape(source)
    if source is None or shape is None:
        return
    top, left, bottom, right = node.attributes.get_ints("pads")
    stem = names.fresh(f"{source.name}_padded", also=("", "_pads"))
    pads = add_constant(
        graph, f"{stem}_pads", np.array([0, 0, top, left, 0, 0, bottom, right], np.int64)
    )
    pad = ir.node("Pad", [source, pads], name=names.fresh_node(f"{node.name}_Pad"))
    result = pad.outputs[0]
    result.name, result.type = stem, source.type
    batch, channels, rows, columns = shape
    result.shape = ir.Shape([batch, channels, rows + top + bottom, columns + left + right])
    names.take(stem)
    graph.insert_before(node, pad)
    node.replace_input_with(0, result)
    node.attributes["pads"] = ir.AttrInt64s("pads", [0, 0, 0, 0])
