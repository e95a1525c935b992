"""Writes a Resize to the nearest sample with moves of data where the NPU takes other samples.

Qualcomm's runtime (QAIRT 2.51) takes the right ones where each sample is repeated a whole number of
times. With other sizes and roundings, and where a scale is not the ratio of the sizes, it takes
samples that are off by one.

1. Such a `Resize` = a Slice with steps, or a Gather with constant indices, for each axis.
2. Where both the rows and the columns of a map of many channels are gathered, the channels come
   last meanwhile, see `gather_channels_last`.

Source: Resize-19 of ONNX, coordinates in float32 as ONNX Runtime computes them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, input_at, integers, ints_attribute
from snapq.graph.passes.base import Result, Skipped
from snapq.graph.passes.npu_speed.gather_channels_last import (
    channels_first,
    channels_last,
    is_few,
)
from snapq.graph.shapes import Shape, static_shape

OPERATORS = ("Resize",)

Floats = npt.NDArray[np.float32]
_ONE, _HALF = np.float32(1), np.float32(0.5)
_MANY = 16
"""Channels that are worth laying side by side."""

PLACES: dict[str, Callable[[Floats, np.float32, int, int], Floats]] = {
    "asymmetric": lambda x, scale, size, made: x / scale,
    "half_pixel": lambda x, scale, size, made: (x + _HALF) / scale - _HALF,
    "pytorch_half_pixel": lambda x, scale, size, made: (
        (x + _HALF) / scale - _HALF if made > 1 else x * 0
    ),
    "align_corners": lambda x, scale, size, made: (
        x * np.float32(size - 1) / np.float32(made - 1) if made > 1 else x * 0
    ),
}
"""Where a sample of the result lies in the source: of its index, the scale and both sizes."""
_ROUNDINGS: dict[str, Callable[[Floats], Floats]] = {
    "round_prefer_floor": lambda x: np.ceil(x - _HALF),
    "round_prefer_ceil": lambda x: np.floor(x + _HALF),
    "floor": np.floor,
    "ceil": np.ceil,
}


def apply(node: ir.Node, edit: Editor) -> Result:
    """Writes one Resize with slices and gathers where the NPU would take other samples."""
    source = node.inputs[0]
    shape, made = static_shape(source), static_shape(node.outputs[0])
    if source is None or shape is None or made is None or 0 in (*shape, *made):
        return False
    if node.attributes.get_string("mode", "nearest") != "nearest":
        return False
    scales = axis_scales(node, shape)
    mode = node.attributes.get_string("coordinate_transformation_mode", "half_pixel")
    place = PLACES.get(mode)
    rounding = _ROUNDINGS.get(node.attributes.get_string("nearest_mode", "round_prefer_floor"))
    if scales is None or place is None or rounding is None:
        return Skipped("its sizes are computed, or its coordinates are those of a crop")
    picked = []
    for size, wanted, scale in zip(shape, made, scales, strict=True):
        position = place(np.arange(wanted, dtype=np.float32), scale, size, wanted)
        # A scale of 1 keeps every sample whatever the rounding.
        exact = np.arange(wanted) if scale == _ONE and size == wanted else rounding(position)
        picked.append(np.clip(exact, 0, size - 1).astype(np.int64))
    if all(map(_repeats, picked, shape)):
        return False
    gathered = [axis for axis in range(len(shape)) if _is_gathered(picked[axis], shape[axis])]
    turned = len(gathered) > 1 and min(gathered) >= 2 and shape[1] >= _MANY
    value = channels_last(source, shape, edit) if turned else source
    for axis, (indices, size) in enumerate(zip(picked, shape, strict=True)):
        value = _taken(value, indices, size, axis - 1 if turned and axis > 1 else axis, edit)
    return channels_first(value, shape, edit) if turned else value


def axis_scales(node: ir.Node, shape: Shape) -> list[np.float32] | None:
    """The scale of each axis."""
    axes = [axis % len(shape) for axis in ints_attribute(node, "axes") or range(len(shape))]
    given, sizes = constant(input_at(node, 2)), constant(input_at(node, 3))
    scales = [_ONE] * len(shape)
    if given is not None and given.size:
        for axis, scale in zip(axes, given.reshape(-1), strict=True):
            scales[axis] = np.float32(scale)
        return scales
    if sizes is None or not sizes.size:
        return None
    policy = node.attributes.get_string("keep_aspect_ratio_policy", "stretch")
    ratios = [
        np.float32(wanted) / np.float32(shape[axis])
        for axis, wanted in zip(axes, sizes, strict=True)
    ]
    for axis, ratio in zip(axes, ratios, strict=True):
        scales[axis] = {"not_larger": min(ratios), "not_smaller": max(ratios)}.get(policy, ratio)
    return scales


def _repeats(indices: npt.NDArray[np.int64], size: int) -> bool:
    """Whether each sample is taken the same number of times, in order."""
    return len(indices) % size == 0 and bool(
        np.array_equal(indices, np.arange(len(indices)) // (len(indices) // size))
    )


def _taken(
    source: ir.Value, indices: npt.NDArray[np.int64], size: int, axis: int, edit: Editor
) -> ir.Value:
    """The samples at some indices of an axis."""
    if np.array_equal(indices, np.arange(size)):
        return source
    if (step := _step(indices)) is None:
        return edit.op("Gather", source, indices, axis=axis)
    bounds = (int(indices[0]), int(indices[-1]) + 1, axis, step)
    return edit.op("Slice", source, *map(integers, bounds))


def _is_gathered(indices: npt.NDArray[np.int64], size: int) -> bool:
    """Whether no Slice takes the samples, and they are too many to take one by one."""
    return _step(indices) is None and not is_few(indices, size)


def _step(indices: npt.NDArray[np.int64]) -> int | None:
    """The step of a Slice that takes samples; None where it changes."""
    steps = np.unique(np.diff(indices))
    return int(steps[0]) if len(steps) == 1 and steps[0] > 0 else None
