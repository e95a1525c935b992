"""A first layer with a stride, over blocks of pixels instead of single ones.

1. A Conv of few channels with stride s becomes `Conv(SpaceToDepth(x, s))` with stride 1: each block
   of s x s pixels is one place of s² times as many channels. Pads and kernels are those in blocks,
   with zeros where the kernel did not reach.
2. A picture of which a part of a block is left over gets a Pad, or its own one gets longer, unless
   the kernel reaches beyond it.
3. The codes of the weights only move, so that the numbers are the same ones, value by value.

The NPU takes channels 32 at a time, so that a picture of 3 fills a tenth of it. Estimated in us on
QCS9075 and SA8797P (QAIRT 2.51), with three layers behind: 3 x 3 over 3 x 640 x 640 into 16
channels at w8a8 134 and 70 against 88 and 47, at w8a16 1,074 and 307 against 329 and 113, in fp16
1,096 and 314 against 550 and 248; 7 x 7 over 224 x 224 into 64 in fp16 576 and 192 against 212 and
67, at w8a16 226 and 95 against 220 and 84.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, input_at, integers, ints_attribute, is_float, is_op
from snapq.graph.inference import infer_shapes
from snapq.graph.shapes import static_shape
from snapq.npu.judged.codes import coded

__all__ = ["apply", "sites"]

_RANK = 4
_MOST_CHANNELS = 8
"""Of a layer's input; with more the blocks gain nothing."""


@dataclass(frozen=True)
class _Axis:
    """A convolution along one axis, in blocks.

    Attributes:
        first: the block of the kernel's first place, counted from that of the result.
        kernel: in blocks.
        pads: in blocks, in front and behind.
        more: pixels that the last block lacks; the kernel does not reach them.
    """

    first: int
    kernel: int
    pads: tuple[int, int]
    more: int


def sites(model: ir.Model) -> tuple[str, ...]:
    """Names of the convolutions that `apply` can write over blocks."""
    return tuple(str(node.name) for node in model.graph if _axes(node) is not None)


def apply(model: ir.Model, names: Collection[str]) -> ir.Model:
    """A copy in which these convolutions read blocks.

    Args:
        model: a float or a Q/DQ model with fixed shapes.
        names: out of `sites`; others are left as they are.
    """
    result = model.clone()
    edit = Editor(result.graph)
    for node in tuple(result.graph):
        axes = _axes(node) if node.name in names else None
        if axes is not None:
            _rewrite(node, axes, edit)
    infer_shapes(result)
    return result


def _axes(node: ir.Node) -> tuple[_Axis, _Axis] | None:
    """The convolution along rows and columns, in blocks; None where a node is not meant."""
    if not is_op(node, "Conv") or not is_float(node.inputs[0]):
        return None
    shape, made = static_shape(node.inputs[0]), static_shape(node.outputs[0])
    kernel = static_shape(node.inputs[1])
    stride, *others = ints_attribute(node, "strides") or (1,)
    if shape is None or made is None or kernel is None or len(shape) != _RANK:
        return None
    dilated = set(ints_attribute(node, "dilations") or (1,)) != {1}
    padded = node.attributes.get_string("auto_pad", "NOTSET") != "NOTSET"
    if stride == 1 or others != [stride] or dilated or padded:
        return None
    if kernel[1] != shape[1] or shape[1] > _MOST_CHANNELS or _weights(node) is None:
        return None
    pads = ints_attribute(node, "pads") or (0, 0, 0, 0)
    found = [
        _in_blocks(shape[axis], made[axis], kernel[axis], stride, pads[axis - 2]) for axis in (2, 3)
    ]
    rows, columns = found
    return None if rows is None or columns is None else (rows, columns)


def _in_blocks(size: int, made: int, kernel: int, stride: int, pad: int) -> _Axis | None:
    """One axis: pixels, results, the kernel's places, the stride, and the pixels in front."""
    more = -size % stride
    first, last = -pad // stride, (kernel - 1 - pad) // stride
    behind = made + last - (size + more) // stride
    reach = (made - 1) * stride + kernel - pad
    if behind < 0 or (more and reach > size):  # zeros of a Pad in front of blocks come out wrong
        return None
    return _Axis(first, last - first + 1, (-first, behind), more)


def _weights(node: ir.Node) -> tuple[np.ndarray, np.ndarray] | None:
    """Floats or codes `[out, in, kH, kW]`, and what stands for 0 in them; None of others."""
    weight = node.inputs[1]
    if (values := constant(weight)) is not None:
        return values, np.zeros(1, values.dtype)
    maker = weight.producer() if weight is not None else None
    if maker is None or maker.op_type != "DequantizeLinear" or "block_size" in maker.attributes:
        return None
    codes, scale, zero = (constant(input_at(maker, index)) for index in range(3))
    if codes is None or scale is None or (zero is None and input_at(maker, 2) is not None):
        return None
    if scale.size > 1 and maker.attributes.get_int("axis", 1) != 0:
        return None
    return codes, np.zeros(1, codes.dtype) if zero is None else zero.reshape(-1)


def _rewrite(node: ir.Node, axes: tuple[_Axis, _Axis], edit: Editor) -> None:
    """Writes one convolution over blocks, in place."""
    source, found = node.inputs[0], _weights(node)
    strides = ints_attribute(node, "strides")
    assert source is not None
    assert found is not None
    assert strides is not None
    rows, columns = axes
    edit.begin(node)
    whole = _filled(source, axes, edit)
    blocks = edit.op("SpaceToDepth", whole, blocksize=strides[0])
    node.replace_input_with(0, coded(blocks, source, edit))
    if (maker := source.producer()) is not None:
        edit.remove_if_dead(maker)
    _set_weights(node, _moved(*found, axes, strides[0], _pads(node)), edit)
    node.attributes["kernel_shape"] = ir.AttrInt64s("kernel_shape", [rows.kernel, columns.kernel])
    node.attributes["strides"] = ir.AttrInt64s("strides", [1, 1])
    pads = [rows.pads[0], columns.pads[0], rows.pads[1], columns.pads[1]]
    node.attributes["pads"] = ir.AttrInt64s("pads", pads)


def _filled(source: ir.Value, axes: tuple[_Axis, _Axis], edit: Editor) -> ir.Value:
    """A picture of whole blocks; no kernel reaches what is new."""
    more = [0] * 6 + [axis.more for axis in axes]
    if not any(more):
        return source
    padded = _pad_before(source)
    before = None if padded is None else constant(padded.inputs[1])
    if padded is None or before is None:
        return coded(edit.op("Pad", source, integers(*more)), source, edit)
    longer = edit.op("Pad", padded.inputs[0], integers(*(before + more)), *padded.inputs[2:])
    made = longer.producer()
    assert made is not None
    for name, attribute in padded.attributes.items():
        made.attributes[name] = attribute
    return coded(longer, source, edit)


def _pad_before(source: ir.Value) -> ir.Node | None:
    """The Pad of all four axes that makes a value, with nothing but its encoding between."""
    maker = source.producer()
    for expected in ("DequantizeLinear", "QuantizeLinear"):
        if maker is not None and maker.op_type == expected and maker.inputs[0] is not None:
            maker = maker.inputs[0].producer()
    if maker is None or maker.op_type != "Pad" or input_at(maker, 3) is not None:
        return None
    return maker if maker.attributes.get_string("mode", "constant") == "constant" else None


def _pads(node: ir.Node) -> tuple[int, int]:
    """Pixels in front, of rows and columns."""
    pads = ints_attribute(node, "pads") or (0, 0, 0, 0)
    return pads[0], pads[1]


def _moved(
    values: np.ndarray,
    zero: np.ndarray,
    axes: tuple[_Axis, _Axis],
    stride: int,
    pads: tuple[int, int],
) -> np.ndarray:
    """Weights `[out, in, kH, kW]` over blocks, `[out, stride² in, …]`, in SpaceToDepth's order."""
    out, channels, *kernel = values.shape
    shape = (out, stride, stride, channels, axes[0].kernel, axes[1].kernel)
    moved = np.empty(shape, values.dtype)
    moved[:] = zero.reshape(-1, 1, 1, 1, 1, 1)
    for row in range(kernel[0]):
        down, high = divmod(row - pads[0], stride)
        for column in range(kernel[1]):
            right, wide = divmod(column - pads[1], stride)
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
