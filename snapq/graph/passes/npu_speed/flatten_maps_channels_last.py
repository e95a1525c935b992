"""Makes rows of maps that are inputs of the network with the channels last.

1. `Transpose(Reshape(x, [N, C, H W]), (0, 2, 1))` of a map `[N, C, H, W]` becomes a Reshape of the
   map with its channels last, where x is an input of the network, or is that once numbers of each
   channel are added to it or multiply it; these go behind the Reshape.

The runtime moves a Transpose behind what is added, normalized and so on, up to the layers, each of
which then turns the rows round by itself; it does not where a Reshape follows. Estimated in us on
QCS9075 (QAIRT 2.51), the decoder of SAM 2, whose features are such maps: w8a8 3,076 and 1,821, fp16
5,942 and 5,584. Behind a Conv both forms take the same.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, integers, permutation, sole_producer
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape

OPERATORS = ("Transpose",)

_MAP = 4
_ALONG_CHANNELS = ("Add", "Mul")


def apply(node: ir.Node, edit: Editor) -> Result:
    """Turns one map round before it becomes rows."""
    made, flat = static_shape(node.outputs[0]), sole_producer(node.inputs[0], "Reshape")
    given = static_shape(flat.inputs[0]) if flat is not None else None
    if flat is None or given is None or len(given) != _MAP or permutation(node) != (0, 2, 1):
        return False
    batch, channels, height, width = given
    if made != (batch, height * width, channels):
        return False
    source, behind = _without_numbers(flat.inputs[0], channels)
    if source is None or source.producer() is not None or constant(source) is not None:
        return False
    value = edit.op("Transpose", source, perm=(0, 2, 3, 1))
    value = edit.op("Reshape", value, integers(*made))
    for op_type, array in behind:
        value = edit.op(op_type, value, array)
    return value


def _without_numbers(
    value: ir.Value | None, channels: int
) -> tuple[ir.Value | None, list[tuple[str, np.ndarray]]]:
    """What numbers of each channel are added to or multiply, and these, first to last."""
    behind: list[tuple[str, np.ndarray]] = []
    while (node := sole_producer(value, *_ALONG_CHANNELS)) is not None:
        numbers = [constant(one) for one in node.inputs]
        array = next((one for one in numbers if one is not None), None)
        if array is None or not (array.size == 1 or array.shape[-3:] == (channels, 1, 1)):
            break
        if array.size not in (1, channels):
            break
        behind.insert(0, (node.op_type, array.reshape(-1)))
        value = node.inputs[0] if numbers[0] is None else node.inputs[1]
    return value, behind
