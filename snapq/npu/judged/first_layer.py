"""The first layer over a picture, and what is in front of it, as the NPU likes them.

1. A Conv of few channels with stride s becomes `Conv(SpaceToDepth(x, s))` with stride 1: each block
   of s x s pixels is one place of s² times as many channels. Pads and kernels are those in blocks,
   with zeros where the kernel did not reach. The codes of the weights only move.
2. Blocks are taken where the picture comes in, at 8 bits if it does so; encodings, a Pad, Convs of
   one pixel (colors of colors), and sums and products with a number for each channel (a
   normalization) follow over blocks, the latter as a Conv of one pixel too. With stride 1, or where
   no Conv reads the picture, only these change.
3. A picture that ends within a block gets a Pad, unless the kernel reaches numbers behind it that
   would not be 0.

The NPU takes channels 32 at a time, so that a picture of 3 fills a tenth of it. Estimated in us on
QCS9075 and SA8797P (QAIRT 2.51), with three layers behind: 3 x 3 over 3 x 640 x 640 into 16
channels at w8a8 134 and 70 against 88 and 47, at w8a16 1,074 and 307 against 329 and 113, in fp16
1,096 and 314 against 354 and 117; 7 x 7 over normalized 224 x 224 into 64 at w8a8 105 and 55
against 37 and 26, at w8a16 298 and 120 against 90 and 61, in fp16 678 and 234 against 217 and 64;
3 x 3 with stride 1 over normalized 256 x 256 into 32 at w8a8 116 and 55 against 66 and 42, in fp16
411 and 161 against 343 and 101. FootTrackNet, with a Conv of one pixel over 3 x 480 x 640 in front,
at w8a16 2,763 and 1,308 against 1,870 and 1,235.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, input_at, ints_attribute, is_float, is_op
from snapq.graph.shapes import static_shape
from snapq.npu.judged.codes import CODES, operand
from snapq.npu.judged.copies import changed_copy
from snapq.npu.judged.picture import (
    MOST_CHANNELS,
    Front,
    as_layer,
    front,
    in_blocks,
    is_normalization,
    real,
)

__all__ = ["apply", "sites"]


@dataclass(frozen=True)
class _Axis:
    """A convolution along one axis, in blocks.

    Attributes:
        before: pixels in front of the picture that the first kernel reads.
        first: the block of the kernel's first place, counted from that of the result.
        kernel: in blocks.
        pads: in blocks, in front and behind.
        more: pixels that the last block lacks.
    """

    before: int
    first: int
    kernel: int
    pads: tuple[int, int]
    more: int


@dataclass(frozen=True)
class _Site:
    """A convolution that can be written over blocks, of one pixel where its stride is 1."""

    stride: int
    front: Front
    rows: _Axis
    columns: _Axis


def sites(model: ir.Model) -> tuple[str, ...]:
    """Names of the convolutions and normalizations that `apply` can change."""
    found = {node: _site(node) for node in model.graph}
    inside = {step for site in found.values() if site is not None for step in site.front.steps}
    return tuple(
        str(node.name)
        for node, site in found.items()
        if node not in inside and (site is not None or is_normalization(node))
    )


def apply(model: ir.Model, names: Collection[str]) -> ir.Model:
    """A copy in which these convolutions read blocks, and normalizations are convolutions.

    Args:
        model: a float or a Q/DQ model with fixed shapes.
        names: out of `sites`; others are left as they are.
    """
    return changed_copy(model, names, _change)


def _change(node: ir.Node, edit: Editor) -> None:
    found = _site(node)
    if found is not None:
        _rewrite(node, found, edit)
    elif is_normalization(node):
        edit.replace(node.outputs[0], as_layer(node, edit))
        edit.remove_if_dead(node)


def _site(node: ir.Node) -> _Site | None:
    """How a convolution is written over blocks; None where a node is not meant."""
    if not is_op(node, "Conv") or not is_float(node.inputs[0]):
        return None
    made, kernel = static_shape(node.outputs[0]), static_shape(node.inputs[1])
    stride, *others = ints_attribute(node, "strides") or (1,)
    if made is None or kernel is None or kernel[1] > MOST_CHANNELS or _weights(node) is None:
        return None
    dilated = set(ints_attribute(node, "dilations") or (1,)) != {1}
    padded = node.attributes.get_string("auto_pad", "NOTSET") != "NOTSET"
    if others != [stride] or dilated or padded:
        return None
    found = front(node)
    shape = None if found is None else static_shape(found.base)
    if found is None or shape is None or _channels(node) != kernel[1]:
        return None
    if stride == 1 and not found.normalizes:
        return None
    pads = ints_attribute(node, "pads") or (0, 0, 0, 0)
    rows, columns = (
        _in_blocks(
            shape[axis],
            made[axis],
            kernel[axis],
            stride,
            pads[axis - 2] + found.pads[axis - 2],
            zeros=not found.arithmetic and not _pads_with_a_number(found),
        )
        for axis in (2, 3)
    )
    return None if rows is None or columns is None else _Site(stride, found, rows, columns)


def _channels(node: ir.Node) -> int:
    """Channels that a layer reads."""
    shape = static_shape(node.inputs[0])
    return 0 if shape is None else shape[1]


def _in_blocks(
    size: int, made: int, kernel: int, stride: int, pad: int, *, zeros: bool
) -> _Axis | None:
    """One axis: pixels, results, the kernel's places, the stride, and the pixels in front.

    `zeros` says whether zeros behind the picture are still such where the kernel reads them.
    """
    more = -size % stride
    first, last = -pad // stride, (kernel - 1 - pad) // stride
    behind = made + last - (size + more) // stride
    reached = more > 0 and (made - 1) * stride + kernel - pad > size
    if behind < 0 or (reached and not zeros):
        return None
    return _Axis(pad, first, last - first + 1, (-first, behind), more)


def _weights(node: ir.Node) -> tuple[np.ndarray, np.ndarray] | None:
    """Floats or codes `[out, in, kH, kW]`, and what stands for 0 in them; None of others."""
    weight = node.inputs[1]
    found = None if weight is None else operand(weight)
    if found is None:
        return None
    values, _, zero = found
    return values, np.zeros(1, values.dtype) if zero is None else zero.reshape(-1)


def _rewrite(node: ir.Node, found: _Site, edit: Editor) -> None:
    """Writes one convolution over blocks, in place."""
    weights, old = _weights(node), node.inputs[0]
    assert weights is not None
    assert old is not None
    rows, columns = found.rows, found.columns
    edit.begin(node)
    pads = [rows.pads[0], columns.pads[0], rows.pads[1], columns.pads[1]]
    apart = _pads_with_a_number(found.front)
    widths = [0, 0, *pads[:2], 0, 0, *pads[2:]] if apart else None
    more = (rows.more, columns.more)
    node.replace_input_with(0, in_blocks(found.front, found.stride, more, widths, edit))
    _set_weights(node, _moved(*weights, found), edit)
    for name, values in (
        ("kernel_shape", [rows.kernel, columns.kernel]),
        ("strides", [1, 1]),
        ("pads", [0] * 4 if apart else pads),
    ):
        node.attributes[name] = ir.AttrInt64s(name, values)
    if (maker := old.producer()) is not None:
        edit.remove_if_dead(maker)


def _pads_with_a_number(found: Front) -> bool:
    """Whether the picture is padded by another number than 0, which a Conv does not do."""
    if found.pad is None:
        return False
    number = real(input_at(found.pad, 2))
    behind = found.steps[found.steps.index(found.pad) + 1 :]
    return bool(number) or any(node.op_type not in CODES for node in behind)


def _moved(values: np.ndarray, zero: np.ndarray, found: _Site) -> np.ndarray:
    """Weights `[out, in, kH, kW]` over blocks, `[out, stride² in, …]`, in SpaceToDepth's order."""
    out, channels, *kernel = values.shape
    stride, axes = found.stride, (found.rows, found.columns)
    shape = (out, stride, stride, channels, axes[0].kernel, axes[1].kernel)
    moved = np.empty(shape, values.dtype)
    moved[:] = zero.reshape(-1, 1, 1, 1, 1, 1)
    for row in range(kernel[0]):
        down, high = divmod(row - axes[0].before, stride)
        for column in range(kernel[1]):
            right, wide = divmod(column - axes[1].before, stride)
            place = (down - axes[0].first, right - axes[1].first)
            moved[:, high, wide, :, place[0], place[1]] = values[:, :, row, column]
    return moved.reshape(out, stride * stride * channels, *shape[4:])


def _set_weights(node: ir.Node, values: np.ndarray, edit: Editor) -> None:
    """Gives a Conv other weights, in the encoding that it has."""
    weight = node.inputs[1]
    maker = weight.producer() if weight is not None else None
    if maker is None:
        edit.set_constant(node, 1, values)
        return
    base = maker.inputs[0]
    assert base is not None
    assert weight is not None
    codes = edit.constant(values, f"{base.name}_blocks")
    real = edit.op("DequantizeLinear", codes, *maker.inputs[1:])
    made = real.producer()
    assert made is not None
    for name, attribute in maker.attributes.items():
        made.attributes[name] = attribute
    real.type = weight.type
    node.replace_input_with(1, real)
    edit.remove_if_dead(maker)
