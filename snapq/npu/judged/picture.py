"""What is done to a picture in front of its first layer, value by value, and the same in blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, input_at, integers, ints_attribute, is_float
from snapq.graph.shapes import static_shape
from snapq.npu.judged.codes import CODES, coded, moved, operand

__all__ = [
    "MOST_CHANNELS",
    "Front",
    "as_layer",
    "front",
    "in_blocks",
    "is_normalization",
    "operand",
    "real",
]

Array = np.ndarray
_ARITHMETIC = ("Add", "Sub", "Mul", "Div")
_RANK = 4
MOST_CHANNELS = 8
"""Of a picture; with more there is nothing to gain."""
_LEAST_PIXELS = 1024
_ONE = 64
"""The code of 8 bits that stands for a channel's whole factor."""


@dataclass(frozen=True)
class Front:
    """The way from a picture to a layer.

    Attributes:
        base: the picture `[N, C, H, W]`.
        like: a value with the encoding that the picture has.
        steps: Q and DQ nodes, sums and products with a number for each channel, Convs of one pixel
            from few channels to few, and one Pad.
    """

    base: ir.Value
    like: ir.Value
    steps: tuple[ir.Node, ...]

    @property
    def pad(self) -> ir.Node | None:
        """The Pad among the steps."""
        return next((node for node in self.steps if node.op_type == "Pad"), None)

    @property
    def normalizes(self) -> bool:
        """Whether there are sums or products with a number for each channel among the steps."""
        return any(node.op_type in _ARITHMETIC for node in self.steps)

    @property
    def arithmetic(self) -> bool:
        """Whether a step may make other numbers of zeros."""
        return self.normalizes or any(node.op_type == "Conv" for node in self.steps)

    @property
    def pads(self) -> tuple[int, int]:
        """Pixels that it puts in front, of rows and columns."""
        widths = None if self.pad is None else constant(self.pad.inputs[1])
        return (0, 0) if widths is None else (int(widths[2]), int(widths[3]))


def front(layer: ir.Node) -> Front | None:
    """What comes in front of a layer, from the first picture on that has an encoding, if any has.

    None where the layer does not read a picture of fixed shape.
    """
    value, steps = layer.inputs[0], list[ir.Node]()
    assert value is not None
    padded = any(ints_attribute(layer, "pads") or ())
    while (node := value.producer()) is not None and _is_step(node):
        if node.op_type == "Pad":
            if padded:
                break
            padded = True
        steps.insert(0, node)
        value = _picture(node)
    like = _encoded(value)
    if like is None:
        first = next((i for i, node in enumerate(steps) if node.op_type == CODES[1]), None)
        if first is not None:
            value, steps = steps[first].outputs[0], steps[first + 1 :]
    shape = static_shape(value)
    return None if shape is None or len(shape) != _RANK else Front(value, like or value, (*steps,))


def real(value: ir.Value | None) -> Array | None:
    """The numbers of a constant, or of codes that are constant; None of others."""
    if (numbers := constant(value)) is not None:
        return numbers
    maker = None if value is None else value.producer()
    if maker is None or maker.op_type != CODES[1]:
        return None
    codes, scale, zero = (constant(input_at(maker, index)) for index in range(3))
    if codes is None or scale is None or scale.size != 1:
        return None
    shifted = codes.astype(np.float32) - (0 if zero is None else zero.astype(np.float32))
    return np.asarray(shifted * scale.reshape(()), np.float32)


def _is_step(node: ir.Node) -> bool:
    """Whether a node changes each pixel by one rule, or pads."""
    if node.op_type in CODES:
        scale = constant(node.inputs[1])
        return scale is not None and scale.size == 1 and constant(node.inputs[0]) is None
    if node.op_type == "Pad":
        return _pads_plainly(node)
    if node.op_type == "Conv":
        return _mixes_channels(node)
    shape, made = static_shape(node.inputs[0]), static_shape(node.outputs[0])
    if node.op_type not in _ARITHMETIC or shape is None or shape != made or len(shape) != _RANK:
        return False
    return _by_channel(node, shape[1]) is not None


def _by_channel(node: ir.Node, channels: int) -> tuple[Array, Array] | None:
    """The factor and the summand of each channel that a node gives it; None of other nodes."""
    numbers = real(node.inputs[1])
    if numbers is None or numbers.size not in (1, channels):
        return None
    if numbers.size > 1 and (numbers.ndim < 3 or numbers.shape[-3] != channels):
        return None
    each = np.broadcast_to(numbers.reshape(-1).astype(np.float32), (channels,))
    one, none = np.ones(channels, np.float32), np.zeros(channels, np.float32)
    if node.op_type in ("Add", "Sub"):
        return one, each if node.op_type == "Add" else -each
    if not np.all(each):
        return None
    return (each if node.op_type == "Mul" else 1 / each), none


def _mixes_channels(node: ir.Node) -> bool:
    """Whether a Conv makes few channels of few, pixel by pixel."""
    kernel, shape = static_shape(node.inputs[1]), static_shape(node.inputs[0])
    if kernel is None or shape is None or kernel[1:] != (shape[1], 1, 1):
        return False
    plain = all(
        set(ints_attribute(node, name) or ()) <= {value}
        for name, value in (("pads", 0), ("strides", 1))
    )
    operands = [value for value in node.inputs[1:] if value is not None]
    few = max(kernel[:2]) <= MOST_CHANNELS
    return plain and few and all(operand(value) is not None for value in operands)


def _pads_plainly(node: ir.Node) -> bool:
    """Whether a Pad puts one number around pictures."""
    widths = constant(node.inputs[1])
    if widths is None or widths.size != 2 * _RANK or input_at(node, 3) is not None:
        return False
    if node.attributes.get_string("mode", "constant") != "constant" or widths.min() < 0:
        return False
    number = input_at(node, 2)
    known = number is None or real(number) is not None
    return known and not any(widths[[0, 1, _RANK, _RANK + 1]])


def _picture(node: ir.Node) -> ir.Value:
    value = node.inputs[0]
    assert value is not None
    return value


def _encoded(value: ir.Value) -> ir.Value | None:
    """The value with an encoding of which another is made by Transposes, if any."""
    while (maker := value.producer()) is not None and maker.op_type == "Transpose":
        value = _picture(maker)
    return value if maker is not None and maker.op_type == CODES[1] else None


def is_normalization(node: ir.Node) -> bool:
    """Whether a node is a sum or product with a number for each of a picture's few channels."""
    shape = static_shape(node.inputs[0]) if node.op_type in _ARITHMETIC else None
    if shape is None or len(shape) != _RANK or not 1 < shape[1] <= MOST_CHANNELS:
        return False
    return shape[2] * shape[3] >= _LEAST_PIXELS and _is_step(node) and is_float(node.inputs[0])


def as_layer(node: ir.Node, edit: Editor) -> ir.Value:
    """Writes a normalization as a Conv of one pixel."""
    edit.begin(node)
    uses = node.outputs[0].uses()
    codes = bool(uses) and all(use.node.op_type == CODES[0] for use in uses)
    return _by_layer(node, _picture(node), 1, edit, codes=codes)


def in_blocks(
    found: Front, block: int, more: tuple[int, int], pads: Sequence[int] | None, edit: Editor
) -> ir.Value:
    """Writes the way over blocks of pixels, `[N, block² C, H / block, W / block]`.

    Args:
        found: the way.
        block: pixels of a block along each axis.
        more: rows and columns that the last blocks lack.
        pads: widths of the Pad in blocks, as ONNX has them; None to leave it out.
        edit: adds the nodes.
    """
    picture, like = found.base, found.like
    if like is not picture:
        picture = coded(picture, like, edit)
    for widths in ((*[0] * 6, more[0], 0), (*[0] * 7, more[1])):  # both in one Pad come out wrong
        if any(widths):
            picture = coded(edit.op("Pad", picture, integers(*widths)), like, edit)
    value = picture
    if block > 1:
        value = coded(edit.op("SpaceToDepth", picture, blocksize=block), like, edit)
    for index, node in enumerate(found.steps):
        if node.op_type in CODES:
            value = edit.op(node.op_type, value, *node.inputs[1:])
        elif node.op_type == "Pad":
            if pads is None:
                continue
            value = edit.op("Pad", value, integers(*pads), *node.inputs[2:])
        elif node.op_type == "Conv":
            repeated = [
                _repeated(value, block * block, edit)
                for value in node.inputs[1:]
                if value is not None
            ]
            value = edit.op("Conv", value, *repeated, kernel_shape=[1, 1])
        else:
            behind = found.steps[index + 1 :][:1]
            codes = bool(behind) and behind[0].op_type == CODES[0]
            value = _by_layer(node, value, block, edit, codes=codes)
        value.type = node.outputs[0].type
    return value


def _repeated(value: ir.Value, times: int, edit: Editor) -> ir.Value:
    """Weights `[out, in, 1, 1]` along the diagonal so many times, or biases one after another."""
    found = operand(value)
    assert found is not None
    numbers, _, zero = found
    if numbers.ndim == 1:
        return moved(value, np.tile(numbers, times), times, edit)
    out, count = numbers.shape[:2]
    blocks = np.empty((times, out, times, count, 1, 1), numbers.dtype)
    blocks[:] = np.zeros(1, numbers.dtype) if zero is None else zero.reshape(-1, 1, 1, 1, 1)
    blocks[np.arange(times), :, np.arange(times)] = numbers
    return moved(value, blocks.reshape(times * out, times * count, 1, 1), times, edit)


def _by_layer(node: ir.Node, value: ir.Value, block: int, edit: Editor, *, codes: bool) -> ir.Value:
    """A sum or product with a number for each channel as a Conv of one pixel.

    What reads three numbers a pixel is slow on the NPU wherever it is no matrix product.
    """
    shape = static_shape(node.inputs[0])
    assert shape is not None
    found = _by_channel(node, shape[1])
    assert found is not None
    factors, summands = (np.tile(numbers, block * block) for numbers in found)
    count = factors.size
    maker = value.producer()
    if not codes or maker is None or maker.op_type != CODES[1]:
        weights = np.diag(factors).reshape(count, count, 1, 1)
        return edit.op("Conv", value, weights, summands, kernel_shape=[1, 1])
    scale = np.abs(factors) / _ONE
    signs = np.diag(np.sign(factors) * _ONE).astype(np.int8).reshape(count, count, 1, 1)
    given = constant(maker.inputs[1])
    assert given is not None
    steps = (scale * given.reshape(())).astype(np.float32)
    bias = np.round(summands / steps).astype(np.int32)
    operands = [
        edit.op("DequantizeLinear", whole, step, np.zeros(count, whole.dtype), axis=0)
        for whole, step in ((signs, scale.astype(np.float32)), (bias, steps))
    ]
    for made in operands:
        made.type = ir.TensorType(ir.DataType.FLOAT)
    return edit.op("Conv", value, *operands, kernel_shape=[1, 1])
