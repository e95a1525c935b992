"""Reshapes to one channel with the channel last.

`[N, 1, H, W]` is `[N, H, W, 1]` in memory, but the provider moves every value to get there.
Reshaped to the latter, with a Transpose behind that the provider cancels, nothing is moved (a small
model of spectrograms on QCS9075: 380 to 193 thousand cycles by Qualcomm's estimate).
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Names, add_constant
from snapq.graph.shapes import static_shape
from snapq.quantization.qdq.scheme import Scheme

__all__ = ["reshape_to_channels_last"]

_WITH_CHANNELS = ("Conv", "ConvTranspose", "MaxPool", "AveragePool")
"""Operators that the NPU computes with channels last."""


def reshape_to_channels_last(graph: ir.Graph, scheme: Scheme) -> Scheme:
    """Rewrites each Reshape that gives one channel to operators that want channels last."""
    names = Names(graph)
    for node in tuple(graph):
        if node.op_type == "Reshape" and _gives_one_channel(node):
            _reshape(graph, node, names)
    return scheme


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


def _reshape(graph: ir.Graph, node: ir.Node, names: Names) -> None:
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
