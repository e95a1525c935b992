"""Writes operators over volumes `[N, C, D, H, W]` that the NPU lacks with those over maps.

1. MaxPool, LpPool and a linear Resize = the same over the maps of each depth, as `[N, C D, H, W]`,
   and then over the depth of each place, as `[N, C, D, H W]`. One of the two alone where the other
   would leave everything as it is.
2. InstanceNormalization = of `[N, C, D, H W]`, and GlobalMaxPool = the maximum over these.
3. `PRelu(x, a)` = LeakyRelu of equal slopes, `x + Relu((a - 1) x)` of slopes up to 1, and
   `a x + (1 - a) Relu(x)` of others.

Qualcomm's provider refuses the pools, the normalization and the maximum, and its runtime (QAIRT
2.51) computes a Resize of a volume in fp16 at -1 dB, in integers rightly (simulated on QCS9075). It
does not compile a PRelu of a volume. Between two Convs of 16 channels of 16 x 16 x 16 the sum takes
39 us at w8a8 where LeakyRelu takes 38, and a PRelu over maps 105 (estimated on QCS9075).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TypeVar

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import (
    Editor,
    constant,
    input_at,
    integers,
    ints_attribute,
    is_used,
    number,
)
from snapq.graph.passes.base import Result, Skipped
from snapq.graph.shapes import Shape, static_shape

OPERATORS = ("MaxPool", "LpPool", "Resize", "InstanceNormalization", "GlobalMaxPool", "PRelu")

_N = TypeVar("_N", int, float)
_VOLUME = 5
_STEPS = ((1, 2), (0,))
"""Spatial axes that are worked on at a time: the maps first, which leaves less for the depth."""
_ONES = (1, 1, 1)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Writes one operator over maps."""
    source, shape = node.inputs[0], static_shape(node.inputs[0])
    result = static_shape(node.outputs[0])
    if source is None or shape is None or result is None or len(shape) != _VOLUME or 0 in shape:
        return False
    if any(is_used(output) for output in node.outputs[1:]):
        return Skipped("the places that it gives are those of a volume")
    match node.op_type:
        case "Resize":
            return _resized(node, source, shape, result, edit)
        case "PRelu":
            return _sloped(source, node.inputs[1], edit)
        case "MaxPool" | "LpPool":
            return _pooled(node, source, shape, result, edit)
        case _:
            return _flat(node, source, shape, result, edit)


def _flat(node: ir.Node, source: ir.Value, shape: Shape, result: Shape, edit: Editor) -> Result:
    """A normalization or a maximum over all places."""
    batch, channels, depth, *map_sizes = shape
    flat = edit.op("Reshape", source, integers(batch, channels, depth, prod(map_sizes)))
    if node.op_type == "GlobalMaxPool":
        made = edit.op("GlobalMaxPool", flat)
    else:
        made = edit.op("InstanceNormalization", flat, *node.inputs[1:])
        _producer(made).attributes.update(node.attributes)
    return edit.op("Reshape", made, integers(*result))


def _sloped(source: ir.Value, slope: ir.Value | None, edit: Editor) -> Result:
    """A PRelu."""
    slopes = constant(slope)
    if slopes is not None and slopes.min() == slopes.max():
        return edit.op("LeakyRelu", source, alpha=float(slopes.min()))
    if slopes is not None and slopes.max() <= 1:
        more = edit.op("Mul", source, (slopes - 1).astype(np.float32))
        return edit.op("Add", source, edit.op("Relu", more))
    rest = edit.op("Sub", number(1.0), slope)
    below = edit.op("Mul", source, slope)
    return edit.op("Add", below, edit.op("Mul", edit.op("Relu", source), rest))


def _pooled(node: ir.Node, source: ir.Value, shape: Shape, result: Shape, edit: Editor) -> Result:
    kernel = ints_attribute(node, "kernel_shape")
    if kernel is None or node.attributes.get_string("auto_pad", "NOTSET") != "NOTSET":
        return False
    strides, dilations = (ints_attribute(node, key) or _ONES for key in ("strides", "dilations"))
    pads = ints_attribute(node, "pads") or (0,) * 6
    value, sizes = source, list(shape)
    for axes in _STEPS:
        taps, steps, holes = (_two(values, axes, 1) for values in (kernel, strides, dilations))
        if set(taps) == set(steps) == {1}:
            continue
        flat = edit.op("Reshape", value, integers(*_flattened(sizes, axes)))
        borders = [*_two(pads[:3], axes, 0), *_two(pads[3:], axes, 0)]
        made = edit.op(node.op_type, flat)
        numbers = {"kernel_shape": taps, "strides": steps, "dilations": holes, "pads": borders}
        _producer(made).attributes.update(node.attributes)
        for key, one in numbers.items():
            if key in node.attributes:
                _producer(made).attributes[key] = ir.AttrInt64s(key, one)
        for axis in axes:
            sizes[2 + axis] = result[2 + axis]
        made.shape = ir.Shape(_flattened(sizes, axes))
        value = edit.op("Reshape", made, integers(*sizes))
    return value


def _resized(node: ir.Node, source: ir.Value, shape: Shape, result: Shape, edit: Editor) -> Result:
    mode = node.attributes.get_string("mode", "nearest")
    place = node.attributes.get_string("coordinate_transformation_mode", "half_pixel")
    if mode != "linear" or shape[:2] != result[:2] or "axes" in node.attributes:
        return False
    policy = node.attributes.get_string("keep_aspect_ratio_policy", "stretch")
    if place == "tf_crop_and_resize" or policy != "stretch":
        return False
    scales, sizes_given = constant(input_at(node, 2)), input_at(node, 3) is not None
    if not sizes_given and (scales is None or scales.size != _VOLUME):
        return False
    factors = _ONES if scales is None or sizes_given else tuple(map(float, scales[2:]))
    value, sizes = source, list(shape)
    for axes in _STEPS:
        wanted = list(sizes)
        for axis in axes:
            wanted[2 + axis] = result[2 + axis]
        ratios = _two(factors, axes, 1.0)
        if wanted == sizes and set(ratios) == {1.0}:
            continue
        flat = edit.op("Reshape", value, integers(*_flattened(sizes, axes)))
        flattened = _flattened(wanted, axes)
        if sizes_given:
            made = edit.op("Resize", flat, None, None, integers(*flattened))
        else:
            made = edit.op("Resize", flat, None, np.array([1, 1, *ratios], np.float32))
        _producer(made).attributes.update(node.attributes)
        made.shape = ir.Shape(flattened)
        sizes = wanted
        value = edit.op("Reshape", made, integers(*sizes))
    return value


def _flattened(sizes: Sequence[int], axes: Sequence[int]) -> list[int]:
    """The maps of each depth as channels, or the places of each map as columns."""
    batch, channels, depth, height, width = sizes
    if len(axes) > 1:
        return [batch, channels * depth, height, width]
    return [batch, channels, depth, height * width]


def _two(values: Sequence[_N], axes: Sequence[int], plain: _N) -> list[_N]:
    """The values of the axes; of one axis, with `plain` for the other one of a map."""
    return [values[axes[0]], values[axes[1]] if len(axes) > 1 else plain]


def _producer(value: ir.Value) -> ir.Node:
    maker = value.producer()
    assert maker is not None
    return maker
