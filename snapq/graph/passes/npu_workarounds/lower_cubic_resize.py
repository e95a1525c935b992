"""Writes a cubic Resize that the NPU does not take, or takes wrongly, with products of matrices.

1. A `Resize` of mode `cubic` whose scale is not the ratio of the sizes, or which aligns corners =
   for each axis that changes a product with a constant matrix, of the input with that axis as the
   last.

Qualcomm's provider refuses such scales (27 samples by 0.5), and its runtime (QAIRT 2.51) computes
aligned corners at 16 bits at -14 dB (simulated on QCS9075).

Sources: Resize-19 of ONNX, coordinates in float32 as ONNX Runtime computes them; Keys, Cubic
convolution interpolation for digital image processing (1981).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.graph.edit import Editor
from snapq.graph.passes.base import Result, Skipped
from snapq.graph.passes.npu_workarounds.lower_linear_resize import along_axis
from snapq.graph.passes.npu_workarounds.lower_nearest_resize import PLACES, axis_scales
from snapq.graph.shapes import static_shape

OPERATORS = ("Resize",)

_TAPS = range(-1, 3)
_ALIGNED = "align_corners"

Floats = npt.NDArray[np.float64]


def apply(node: ir.Node, edit: Editor) -> Result:
    """Writes one Resize with products."""
    source = node.inputs[0]
    shape, made = static_shape(source), static_shape(node.outputs[0])
    mode = node.attributes.get_string("coordinate_transformation_mode", "half_pixel")
    if node.attributes.get_string("mode", "nearest") != "cubic":
        return False
    if source is None or shape is None or made is None or 0 in (*shape, *made):
        return False
    scales, place = axis_scales(node, shape), PLACES.get(mode)
    if scales is None or place is None or node.attributes.get_int("antialias", 0) != 0:
        return Skipped("its sizes are computed, or its samples are those of a crop, or averaged")
    sizes = list(zip(shape, made, scales, strict=True))
    exact = all(np.float32(wanted) / np.float32(size) == scale for size, wanted, scale in sizes)
    if exact and mode != _ALIGNED:
        return False
    for axis, (size, wanted, scale) in enumerate(sizes):
        if size == wanted and scale == 1:
            continue
        position = place(np.arange(wanted, dtype=np.float32), scale, size, wanted)
        weights = _weights(position.astype(np.float64), size, node)
        source = along_axis(source, weights, axis, len(shape), edit)
    return source


def _weights(position: Floats, size: int, node: ir.Node) -> npt.NDArray[np.float32]:
    """What each sample adds to each result, `[size, results]`."""
    slope = node.attributes.get_float("cubic_coeff_a", -0.75)
    outside = node.attributes.get_int("exclude_outside", 0) == 1
    first, results = np.floor(position).astype(np.int64), np.arange(len(position))
    matrix = np.zeros((size, len(position)))
    for tap in _TAPS:
        index = first + tap
        share = _kernel(np.abs(position - index), slope)
        held = (index >= 0) & (index < size) if outside else np.ones(len(position), bool)
        np.add.at(matrix, (np.clip(index, 0, size - 1)[held], results[held]), share[held])
    return np.asarray(matrix / matrix.sum(axis=0), np.float32)


def _kernel(distance: Floats, slope: float) -> Floats:
    """The weight of a sample at a distance."""
    near = (slope + 2) * distance**3 - (slope + 3) * distance**2 + 1
    far = slope * (distance**3 - 5 * distance**2 + 8 * distance - 4)
    return np.asarray(np.where(distance <= 1, near, np.where(distance < 2, far, 0)))
