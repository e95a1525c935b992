"""Pictures taken apart into patches and put together again (`unfold` and `fold` of PyTorch).

1. `Gather(x, i)` with constant `i` of several dimensions, where the result has more dimensions than
   the NPU takes = Gather with the same `i` as a row, and Reshape.
2. `Col2Im(x)` of patches that lie side by side = Reshape and DepthToSpace.
3. Any other `Col2Im(x)` of one or two dimensions = Reshape and ConvTranspose, whose filters put
   each value in its place and add up where patches overlap.
"""

from __future__ import annotations

from math import prod

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, integers, ints_attribute, ints_input
from snapq.graph.passes.base import Result, Skipped
from snapq.graph.shapes import Shape, static_shape
from snapq.operators import MAX_RANK

OPERATORS = ("Col2Im", "Gather")


def apply(node: ir.Node, edit: Editor) -> Result:
    """Writes one node with what the NPU has."""
    source, shape = node.inputs[0], static_shape(node.inputs[0])
    if source is None or shape is None or 0 in shape:
        return False
    if node.op_type == "Gather":
        return _gather(node, source, shape, edit)
    return _fold(node, source, shape, edit)


def _gather(node: ir.Node, source: ir.Value, shape: Shape, edit: Editor) -> Result:
    indices = constant(node.inputs[1])
    if indices is None or not indices.size or len(shape) + indices.ndim - 1 <= MAX_RANK:
        return False
    if indices.ndim < 2 or len(shape) > MAX_RANK:
        return False
    axis = node.attributes.get_int("axis", 0) % len(shape)
    row = edit.op("Gather", source, indices.reshape(-1).astype(np.int64), axis=axis)
    return edit.op("Reshape", row, integers(*shape[:axis], *indices.shape, *shape[axis + 1 :]))


def _fold(node: ir.Node, source: ir.Value, shape: Shape, edit: Editor) -> Result:
    image, block = ints_input(node, 1, ()), ints_input(node, 2, ())
    if not image or not block or len(image) > 2 or len(shape) != 3:
        return Skipped("its sizes are computed, or it has more than two dimensions")
    axes = range(len(image))
    strides = ints_attribute(node, "strides") or (1,) * len(image)
    dilations = ints_attribute(node, "dilations") or (1,) * len(image)
    pads = ints_attribute(node, "pads") or (0, 0) * len(image)
    window = [(size - 1) * step + 1 for size, step in zip(block, dilations, strict=True)]
    padded = [image[i] + pads[i] + pads[i + len(image)] for i in axes]
    grid = [(padded[i] - window[i]) // strides[i] + 1 for i in axes]
    channels, taps = shape[1] // prod(block), prod(block)
    tiles = edit.op("Reshape", source, integers(shape[0], shape[1], *grid))
    beside = strides == block and [*image] == [grid[i] * block[i] for i in axes]
    plain = not any(pads) and set(dilations) == {1}
    if beside and plain and len(block) == 2 and block[0] == block[1]:
        return edit.op("DepthToSpace", tiles, blocksize=block[0], mode="CRD")
    reached = [(grid[i] - 1) * strides[i] + window[i] for i in axes]
    one_each = np.tile(np.eye(taps), (channels, 1)).reshape(channels * taps, 1, *block)
    return edit.op(
        "ConvTranspose",
        tiles,
        one_each.astype(np.float32),
        group=channels,
        strides=list(strides),
        dilations=list(dilations),
        pads=list(pads),
        output_padding=[padded[i] - reached[i] for i in axes],
    )
