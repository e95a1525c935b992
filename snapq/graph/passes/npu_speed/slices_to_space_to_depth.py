"""Writes a picture that is taken apart pixel by pixel as one operator.

1. `Concat(x[:, :, i::b, j::b], …)` along the channels, with each of the b² offsets once, however
   many Slices each takes, becomes `SpaceToDepth(x)` with blocks of b.
2. Where the offsets come in another order than SpaceToDepth's, a Conv that alone reads the result
   gets its weights in that order; otherwise a Split and a Concat put the channels in order.

It is the stem of YOLOv5, YOLOX and others ("Focus"). Estimated in us on QCS9075 and SA8797P (QAIRT
2.51), 3 x 640 x 640 in front of a Conv of 32 channels: w8a8 6,630 and 9,311 as Slices against 288
and 138, fp16 1,930 and 947 against 1,244 and 559.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, is_op, producer
from snapq.graph.passes.base import Result
from snapq.graph.passes.slices import taken
from snapq.graph.shapes import Shape, static_shape

OPERATORS = ("Concat",)
_RANK = 4

Offset = tuple[int, int]
"""Of the first row and the first column."""


def apply(node: ir.Node, edit: Editor) -> Result:
    """Rewrites one Concat."""
    shape = static_shape(node.outputs[0])
    if shape is None or len(shape) != _RANK or node.attributes.get_int("axis", 0) % _RANK != 1:
        return False
    block = round(len(node.inputs) ** 0.5)
    if block < 2 or block * block != len(node.inputs):
        return False
    found = [_part(value, block) for value in node.inputs]
    sources = {source for source, _ in filter(None, found)}
    offsets = [offset for _, offset in filter(None, found)]
    every = [(row, column) for row in range(block) for column in range(block)]
    if len(sources) != 1 or sorted(offsets) != every:
        return False
    (source,) = sources
    made = edit.op("SpaceToDepth", source, blocksize=block)
    made.shape, made.type = ir.Shape(shape), node.outputs[0].type
    order = [every.index(offset) for offset in offsets]
    if order == sorted(order) or _reorder_weights(node, order, edit):
        return made
    parts = edit.ops("Split", made, outputs=len(order), axis=1, num_outputs=len(order))
    for part in parts:
        part.shape = ir.Shape((shape[0], shape[1] // len(order), *shape[2:]))
        part.type = made.type
    return edit.op("Concat", *(parts[index] for index in order), axis=1)


def _part(value: ir.Value | None, block: int) -> tuple[ir.Value, Offset] | None:
    """Of what every b-th pixel along both axes is taken, and from which on; None for others."""
    nodes: list[ir.Node] = []
    while (node := producer(value, "Slice")) is not None:
        nodes.insert(0, node)
        value = node.inputs[0]
    shape = static_shape(value)
    if value is None or not nodes or shape is None or len(shape) != _RANK:
        return None
    places = [range(size) for size in shape]
    for node in nodes:
        found = taken(node, places)
        if found is None:
            return None
        places = found
    whole = _whole(places, shape, block)
    return (value, (places[2].start, places[3].start)) if whole else None


def _whole(places: Sequence[range], shape: Shape, block: int) -> bool:
    """Whether these are all channels, and every b-th row and column of whole blocks."""
    if [len(places[0]), len(places[1])] != list(shape[:2]):
        return False
    return all(
        size % block == 0 and one == range(one.start, size, block) and one.start < block
        for one, size in zip(places[2:], shape[2:], strict=True)
    )


def _reorder_weights(node: ir.Node, order: Sequence[int], edit: Editor) -> bool:
    """Gives a Conv that alone reads a Concat its weights in SpaceToDepth's order."""
    uses = list(node.outputs[0].uses())
    if len(uses) != 1 or uses[0].idx != 0 or node.outputs[0].is_graph_output():
        return False
    conv = uses[0].node
    weight = constant(conv.inputs[1]) if is_op(conv, "Conv") else None
    if weight is None or conv.attributes.get_int("group", 1) != 1:
        return False
    parts = np.split(weight, len(order), 1)
    edit.set_constant(
        conv, 1, np.concatenate([parts[order.index(i)] for i in range(len(order))], 1)
    )
    return True
