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
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import onnx_ir as ir

from snapq.graph.shapes import static_shape
from snapq.quantization.blocks import as_convolutions
from snapq.quantization.names import Names
from snapq.quantization.scheme import NodePrecision, Scheme
from snapq.quantization.wide import widened

__all__ = ["lower"]

_SMALL_PICTURE = 224 * 224
"""Pixels up to which a picture takes the slow way in."""
_PICTURE_CHANNELS = range(3, 9)
_WHOLE_ROW = 32
"""Elements of which a row is a multiple, or its Pad must have some in front."""


def lower(graph: ir.Graph, scheme: Scheme) -> Scheme:
    """Rewrites, in place, each Swish with alpha 1 and each first Conv that a Pad makes quicker.

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
    amounts = ir.Tensor(np.array([0, 0, top, left, 0, 0, bottom, right], np.int64))
    pads = ir.Value(
        name=f"{stem}_pads",
        shape=amounts.shape,
        type=ir.TensorType(ir.DataType.INT64),
        const_value=amounts,
    )
    graph.register_initializer(pads)
    pad = ir.node("Pad", [source, pads], name=names.fresh_node(f"{node.name}_Pad"))
    result = pad.outputs[0]
    result.name, result.type = stem, source.type
    batch, channels, rows, columns = shape
    result.shape = ir.Shape([batch, channels, rows + top + bottom, columns + left + right])
    names.take(stem)
    graph.insert_before(node, pad)
    node.replace_input_with(0, result)
    node.attributes["pads"] = ir.AttrInt64s("pads", [0, 0, 0, 0])


def _with_gates(scheme: Scheme, gates: Mapping[str, str]) -> dict[str, NodePrecision]:
    own = scheme.per_node
    return {**own, **{gate: own[node] for node, gate in gates.items() if node in own}}
