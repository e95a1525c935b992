"""Writes a linear Resize whose scale is not the ratio of the sizes with products of matrices.

Qualcomm's runtime (QAIRT 2.51) takes the ratio of the sizes for the scale: of 12 samples and a
scale of 1.7, 20 are made, and it takes the samples for 1.67.

1. Such a `Resize` with linear mode = for each axis that changes a MatMul with a constant matrix, of
   the input with that axis as the last.

Source: Resize-19 of ONNX, coordinates in float32 as ONNX Runtime computes them.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor
from snapq.graph.passes.base import Result
from snapq.graph.passes.npu_workarounds.lower_nearest_resize import PLACES, axis_scales
from snapq.graph.shapes import static_shape

OPERATORS = ("Resize",)

_BY_SCALE = ("asymmetric", "half_pixel", "pytorch_half_pixel")
"""Coordinates that the scale decides, and not the sizes alone."""


def apply(node: ir.Node, edit: Editor) -> Result:
    """Writes one Resize with products where the NPU would take other samples."""
    source = node.inputs[0]
    shape, made = static_shape(source), static_shape(node.outputs[0])
    mode = node.attributes.get_string("coordinate_transformation_mode", "half_pixel")
    if source is None or shape is None or made is None or 0 in (*shape, *made):
        return False
    if node.attributes.get_string("mode", "nearest") != "linear" or mode not in _BY_SCALE:
        return False
    scales = axis_scales(node, shape)
    if scales is None or node.attributes.get_int("antialias", 0) != 0:
        return False
    sizes = list(zip(shape, made, scales, strict=True))
    if all(np.float32(wanted) / np.float32(size) == scale for size, wanted, scale in sizes):
        return False
    for axis, (size, wanted, scale) in enumerate(sizes):
        if size == wanted and scale == 1:
            continue
        position = PLACES[mode](np.arange(wanted, dtype=np.float32), scale, size, wanted)
        source = along_axis(source, _weights(position, size), axis, len(shape), edit)
    return source


def sample_weights(node: ir.Node) -> list[np.ndarray] | None:
    """What each sample of a linear Resize adds to each result, `[size, results]` for each axis.

    None where the mode is another one, or sizes are not known.
    """
    shape, made = static_shape(node.inputs[0]), static_shape(node.outputs[0])
    place = PLACES.get(node.attributes.get_string("coordinate_transformation_mode", "half_pixel"))
    if shape is None or made is None or place is None or 0 in (*shape, *made):
        return None
    if node.attributes.get_string("mode", "nearest") != "linear":
        return None
    scales = axis_scales(node, shape)
    if scales is None or node.attributes.get_int("antialias", 0) != 0:
        return None
    return [
        _weights(place(np.arange(wanted, dtype=np.float32), scale, size, wanted), size)
        for size, wanted, scale in zip(shape, made, scales, strict=True)
    ]


def _weights(position: np.ndarray, size: int) -> np.ndarray:
    """What each sample adds to each result, `[size, results]`."""
    clipped = np.clip(position.astype(np.float64), 0, size - 1)
    distance = np.abs(np.arange(size)[:, None] - clipped[None, :])
    return np.asarray(np.maximum(0.0, 1.0 - distance), np.float32)


def along_axis(
    source: ir.Value, weights: np.ndarray, axis: int, dims: int, edit: Editor
) -> ir.Value:
    """The product of weights `[size, results]` with one axis of a tensor of `dims` dimensions."""
    if axis == dims - 1:
        return edit.op("MatMul", source, weights)
    order = [*(item for item in range(dims) if item != axis), axis]
    turned = edit.op("Transpose", source, perm=order)
    back = [order.index(item) for item in range(dims)]
    return edit.op("Transpose", edit.op("MatMul", turned, weights), perm=back)
