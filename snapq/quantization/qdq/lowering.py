"""Operators that the provider computes badly in integers, in parts that it computes well.

Swish: the provider makes a sigmoid and a product of it, and holds the sigmoid in the encoding of
the product: at 16 bits PP-OCRv6 falls from 34 to 6 dB on the simulator (QAIRT 2.51). Written as
`x * Sigmoid(x)` each has its own encoding, and the estimate is the same to the cycle.

A first Conv of 8 bits on a float picture in NCHW of 224 x 224, with padding: the compiler has a
quicker way in for pictures above 50,176 pixels than for those below, and with a Pad of its own in
front the picture is one of them. A Conv of 3 x 3 and stride 2 goes from 143 to 105 us by Qualcomm's
estimate for QCS9075, EfficientNet-Lite0 as a whole from 460 to 370 thousand cycles. Everywhere else
the Pad costs time (a causal filter over 64 channels: 25 to 271 us), and 16 bits and NHWC codes gain
nothing by it.
A Pad behind alone is right for rows of whole multiples of 32 elements only: of others the NPU
leaves the last column unwritten.

A Reshape that gives a layer one channel: `[N, 1, H, W]` is `[N, H, W, 1]` in memory, but the
provider moves every value to get there. Reshaped to the latter, with a Transpose behind that the
provider cancels, nothing is moved (a small model of spectrograms on QCS9075: 380 to 193 thousand
cycles by Qualcomm's estimate).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Names, add_constant
from snapq.graph.shapes import static_shape
from snapq.quantization.precision_rules.keep_wide import widened
from snapq.quantization.qdq.blockwise import as_convolutions
from snapq.quantization.qdq.scheme import NodePrecision, Scheme

__all__ = ["lower"]

_WITH_CHANNELS = ("Conv", "ConvTranspose", "MaxPool", "AveragePool")
"""Operators that the NPU computes with channels last."""
_SMALL_PICTURE = 224 * 224
"""Pixels up to which a picture takes the slow way in."""
_PICTURE_CHANNELS = range(3, 9)
_WHOLE_ROW = 32
"""Elements of which a row is a multiple, or its Pad must have some in front."""


def lower(graph: ir.Graph, scheme: Scheme) -> Scheme:
    """Rewrites, in place, each Swish with alpha 1 and what else the NPU has a quicker form of.

    The product of a Swish, and the Conv, keep their names.

    Returns:
        The scheme, in which the new sigmoid has the precision of its Swish, and what stays wide by
        rule its own.
    """
    names = Names(graph)
    gates: dict[str, str] = {}
    for node in tuple(graph):
        if node.op_type == "Swish" and node.attributes.get_float("alpha", 1.0) == 1.0:
            gates[str(node.name)] = _split(graph, node, names)
        elif node.op_type == "Conv" and _grows_large(node, scheme):
            _pad_before(graph, node, names)
        elif node.op_type == "Reshape" and _gives_one_channel(node):
            _reshape_to_channels_last(graph, node, names)
    if gates:
        scheme = replace(scheme, per_node=_with_gates(scheme, gates))
    as_convolutions(graph, scheme)
    return widened(graph, scheme)


def _split(graph: ir.Graph, node: ir.Node, names: Names) -> str:
    source, output = node.inputs[0], node.outputs[0]
    gate = ir.node("Sigmoid", [source], name=names.fresh_node(f"{node.name}_gate"))
    opened = gate.outputs[0]
    opened.name = names.fresh(f"{output.name}_gate")
    names.take(opened.name)
    opened.shape, opened.type = output.shape, output.type
    product = ir.Node("", "Mul", [source, opened], outputs=[ir.Value()], name=node.name)
    result = product.outputs[0]
    result.shape, result.type = output.shape, output.type
    graph.insert_before(node, [gate, product])
    for position, value in enumerate(tuple(graph.outputs)):
        if value is output:
            graph.outputs[position] = result
    output.replace_all_uses_with(result)
    graph.remove(node, safe=True)
    result.name = output.name
    return str(gate.name)


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


def _gives_one_channel(node: ir.Node) -> bool:
    """Whether all that reads a Reshape wants channels last, and there is but one channel."""
    output = node.outputs[0]
    shape = static_shape(output)
    return (
        shape is not None
        and len(shape) == 4
        and shape[1] == 1
        and max(shape[2:]) > 1
        and not output.is_graph_output()
        and bool(output.uses())
        and all(user.op_type in _WITH_CHANNELS and index == 0 for user, index in output.uses())
    )


def _reshape_to_channels_last(graph: ir.Graph, node: ir.Node, names: Names) -> None:
    output = node.outputs[0]
    shape = static_shape(output)
    if shape is None:
        return
    batch, channels, rows, columns = shape
    stem = names.fresh(f"{output.name}_channels_last", also=("", "_shape"))
    names.take(stem)
    last = [batch, rows, columns, channels]
    target = add_constant(graph, f"{stem}_shape", np.array(last, np.int64))
    reshape = ir.node("Reshape", [node.inputs[0], target], name=node.name)
    moved = reshape.outputs[0]
    moved.name, moved.type, moved.shape = stem, output.type, ir.Shape(last)
    name = names.fresh_node(f"{node.name}_channels_first")
    transpose = ir.node("Transpose", [moved], {"perm": [0, 3, 1, 2]}, name=name)
    result = transpose.outputs[0]
    result.type, result.shape = output.type, output.shape
    graph.insert_before(node, [reshape, transpose])
    output.replace_all_uses_with(result)
    graph.remove(node, safe=True)
    result.name = output.name


def _with_gates(scheme: Scheme, gates: Mapping[str, str]) -> dict[str, NodePrecision]:
    own = scheme.per_node
    return {**own, **{gate: own[node] for node, gate in gates.items() if node in own}}
