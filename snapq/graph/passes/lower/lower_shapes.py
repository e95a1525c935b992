"""Writes moves of data that the NPU lacks with those that it has.

1. `Trilu(x)` = `Where(mask, x, 0)` with a constant mask.
2. `Transpose` of more than 5 dimensions = Reshape, Transpose of the dimensions that stay together
   as one and without those of size 1, Reshape; where 5 are enough. So are those of 5, where fewer
   are left, but those of which the first is one and the next stays: at 8 bits the compiler gives
   some of them code that is thousands of times slower (80 values as [1, 10, 2, 2, 2]: 126 million
   cycles and 25 thousand by Qualcomm's estimate for QCS9075), and in fp16 it is slow at most (4 x 7
   x 4 x 7 x 32 values in front of a product: 1,519 us and 24).
3. `Pad` in a circle = Concat of slices.
4. `Resize` to the nearest sample with a rounding that the NPU lacks = with `floor`, where both
   take the same samples.
5. `ConvTranspose` with dilation = without, of a kernel with zeros between.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import (
    Editor,
    constant,
    input_at,
    integers,
    ints_attribute,
    ints_input,
    is_op,
    pad_widths,
    permutation,
    producer,
)
from snapq.graph.passes.base import Result, Skipped
from snapq.graph.shapes import Shape, static_shape
from snapq.operators import MAX_RANK

OPERATORS = ("Trilu", "Transpose", "Pad", "Resize", "ConvTranspose")


def apply(node: ir.Node, edit: Editor) -> Result:
    """Writes one move of data with others."""
    source, shape = node.inputs[0], static_shape(node.inputs[0])
    if source is None or shape is None or 0 in shape:
        return False
    match node.op_type:
        case "Resize":
            return _resize(node, shape)
        case "ConvTranspose":
            return _dilated(node, edit)
        case "Trilu":
            result = _triangle(node, source, shape, edit)
        case "Transpose":
            result = _transpose(node, source, shape, edit)
        case _:
            result = _circular_pad(node, source, shape, edit)
    if result is None and node.op_type == "Transpose" and len(shape) > MAX_RANK:
        return Skipped(f"its dimensions cannot be merged to {MAX_RANK}")
    return result


def _triangle(node: ir.Node, source: ir.Value, shape: Shape, edit: Editor) -> ir.Value | None:
    offset = ints_input(node, 1, (0,))
    if offset is None or source.dtype is None:
        return None
    cut = np.triu if node.attributes.get_int("upper", 1) else np.tril
    mask = cut(np.ones(shape[-2:], bool), offset[0])
    return edit.op("Where", mask, source, np.zeros((), source.dtype.numpy()))


def _transpose(node: ir.Node, source: ir.Value, shape: Shape, edit: Editor) -> ir.Value | None:
    order = permutation(node)
    if len(shape) < MAX_RANK or (len(shape) == MAX_RANK and _may_be_split(node, source)):
        return None
    groups: list[list[int]] = []
    for axis in (axis for axis in order if shape[axis] != 1):
        between = range(groups[-1][-1] + 1, axis) if groups else range(0)
        together = groups and axis > groups[-1][-1] and all(shape[item] == 1 for item in between)
        if together:
            groups[-1].append(axis)
        else:
            groups.append([axis])
    ordered = sorted(groups)
    enough = MAX_RANK if len(shape) > MAX_RANK else MAX_RANK - 1
    stays = len(shape) == MAX_RANK and shape[0] == 1 and groups[:1] == ordered[:1]
    if len(groups) > enough or stays:
        return None
    sizes = [int(np.prod([shape[axis] for axis in group])) for group in ordered]
    flat = edit.op("Reshape", source, integers(*sizes))
    turned = edit.op("Transpose", flat, perm=[ordered.index(group) for group in groups])
    return edit.op("Reshape", turned, integers(*(shape[axis] for axis in order)))


def _may_be_split(node: ir.Node, source: ir.Value) -> bool:
    """Whether `split_projections` may give each part that is taken of it a layer of its own."""
    reshape = producer(source, "Reshape")
    before = reshape.inputs[0] if reshape is not None else None
    readers = node.outputs[0].consumers()
    parts = all(is_op(reader, "Gather", "Slice", "Split") for reader in readers)
    return parts and producer(before, "Gemm", "MatMul", "Add", "Reshape") is not None


def _circular_pad(node: ir.Node, source: ir.Value, shape: Shape, edit: Editor) -> ir.Value | None:
    widths = pad_widths(node, len(shape))
    if node.attributes.get_string("mode", "constant") != "wrap" or widths is None:
        return None
    for axis, ((before, after), size) in enumerate(zip(widths, shape, strict=True)):
        if not (0 <= before <= size and 0 <= after <= size):
            return None
        parts = [source]
        if before:
            start, end = integers(size - before), integers(size)
            parts.insert(0, edit.op("Slice", source, start, end, integers(axis)))
        if after:
            parts.append(edit.op("Slice", source, integers(0), integers(after), integers(axis)))
        source = edit.op("Concat", *parts, axis=axis) if len(parts) > 1 else source
    return source


def _resize(node: ir.Node, shape: Shape) -> bool:
    rounding = node.attributes.get_string("nearest_mode", "round_prefer_floor")
    place = node.attributes.get_string("coordinate_transformation_mode", "half_pixel")
    result = static_shape(node.outputs[0])
    if node.attributes.get_string("mode", "nearest") != "nearest" or result is None:
        return False
    if place != "asymmetric" or rounding not in ("ceil", "round_prefer_floor"):
        return False
    scales = constant(input_at(node, 2))
    if scales is None or scales.size != len(shape) or "axes" in node.attributes:
        return False
    for size, wanted, scale in zip(shape, result, scales.astype(np.float64), strict=True):
        position = np.arange(wanted) / scale
        picked = np.ceil(position) if rounding == "ceil" else np.ceil(position - 0.5)
        if np.any(np.clip(picked, 0, size - 1) != np.clip(np.floor(position), 0, size - 1)):
            return False
    node.attributes["nearest_mode"] = ir.AttrString("nearest_mode", "floor")
    return True


def _dilated(node: ir.Node, edit: Editor) -> Result:
    dilations = ints_attribute(node, "dilations") or ()
    weight = constant(node.inputs[1])
    if all(step == 1 for step in dilations):
        return False
    if weight is None:
        return Skipped("its kernel is computed")
    kernel = [(size - 1) * step + 1 for size, step in zip(weight.shape[2:], dilations, strict=True)]
    wide = np.zeros((*weight.shape[:2], *kernel), weight.dtype)
    wide[(slice(None), slice(None), *(slice(None, None, step) for step in dilations))] = weight
    edit.set_constant(node, 1, wide)
    node.attributes["dilations"] = ir.AttrInt64s("dilations", [1] * len(kernel))
    node.attributes["kernel_shape"] = ir.AttrInt64s("kernel_shape", kernel)
    return True
