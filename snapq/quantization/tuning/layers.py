"""Layers with weights as matrix products: what the algorithms on weights have in common.

A Conv, Gemm or MatMul is, group by group, `y = W x + b`, where a column of `x` is what the layer
sees at one output position. Here are the way from a node to `W [G, O, K]` and back, and from an
input tensor to columns: groups, output channels and inputs of one group (for a Conv input channels
x kernel positions).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.quantization.encodings import Encoding, Floats, QuantType
from snapq.quantization.qdq.decisions import Decision, constant
from snapq.quantization.qdq.parameters import (
    close_scales,
    gemm_scaled,
    may_overflow,
    raise_for_bias,
    weight_encoding,
)

__all__ = [
    "Layer",
    "columns",
    "layers",
    "places",
    "plain_encoding",
    "positions",
    "results",
    "scales",
]


_ROOM = np.float32(1.25)


@dataclass(frozen=True)
class Layer:
    """One node with a constant weight.

    Attributes:
        name: of the node.
        op_type: `Conv`, `Gemm` or `MatMul`.
        data: name of the tensor that it reads.
        weight: as the node holds it, alpha multiplied in.
        bias: `[O]`, beta multiplied in; None where it has none.
        group: of a Conv, else 1.
        transposed: whether a Gemm's or MatMul's weight is `[K, O]`.
        kernel, strides, pads, dilations: of a Conv, `(rows, columns)`; pads before the data.
    """

    name: str
    op_type: str
    data: str
    weight: Floats
    bias: Floats | None
    group: int = 1
    transposed: bool = False
    kernel: tuple[int, int] = (1, 1)
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilations: tuple[int, int] = (1, 1)

    @property
    def matrix(self) -> Floats:
        """The weight as `[G, O / G, K]`."""
        flat = self.weight.T if self.transposed else self.weight
        return flat.reshape(self.group, flat.shape[0] // self.group, -1)

    def restore(self, matrix: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """A matrix `[G, O / G, K]` in the shape of the node's weight."""
        flat = matrix.reshape(matrix.shape[0] * matrix.shape[1], -1)
        if self.transposed:
            return np.ascontiguousarray(flat.T)
        return flat.reshape(self.weight.shape)


def layers(decisions: Mapping[ir.Node, Decision]) -> Iterator[Layer]:
    """The quantized nodes whose weights can be worked on, in graph order.

    Left out: transposed and 3-d convolutions, weights of more than two dimensions in a MatMul.
    """
    for node, decision in decisions.items():
        if decision.dtype is None or node.op_type not in _BUILDERS or len(node.inputs) < 2:
            continue
        data, weight = node.inputs[0], constant(node.inputs[1])
        bias = constant(node.inputs[2]) if len(node.inputs) > 2 else None
        if data is None or weight is None or constant(data) is not None:
            continue
        if len(node.inputs) > 2 and node.inputs[2] is not None and bias is None:
            continue
        array = np.asarray(weight.numpy(), np.float32)
        offset = np.asarray(bias.numpy(), np.float32) if bias is not None else None
        found = _BUILDERS[node.op_type](node, str(data.name), array, offset)
        if found is not None:
            yield found


def positions(layer: Layer, values: int, fewest: int, most: int) -> int:
    """How many output positions see about so many values of a layer's input."""
    groups, _, width = layer.matrix.shape
    return int(np.clip(values // (groups * width), fewest, most))


def places(
    layer: Layer, shape: Sequence[int], limit: int, random: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Up to `limit` output positions of a layer, ascending, for an input tensor of that shape."""
    if layer.op_type == "Conv":
        count = shape[0] * math.prod(_output_sizes(layer, shape))
    else:
        count = math.prod(shape[:-1])
    if count <= limit:
        return np.arange(count)
    return np.sort(random.choice(count, limit, replace=False))


def columns(layer: Layer, data: npt.NDArray[np.generic], chosen: npt.NDArray[np.int64]) -> Floats:
    """What the layer sees at the chosen `places` of its input tensor, as `[G, positions, K]`."""
    array = np.asarray(data, np.float32)
    if layer.op_type != "Conv":
        return array.reshape(-1, array.shape[-1])[chosen][None]
    image = array if array.ndim == 4 else array[:, :, None, :]
    batch, rows, cols = np.unravel_index(chosen, (len(image), *_output_sizes(layer, data.shape)))
    down, above = _taps(rows, layer, 0, image.shape[2])
    across, beside = _taps(cols, layer, 1, image.shape[3])
    # [positions, kh, kw, C]
    seen = image[batch[:, None, None], :, down[:, :, None], across[:, None, :]]
    if above.any() or beside.any():
        seen[above[:, :, None] | beside[:, None, :]] = 0.0
    seen = seen.transpose(0, 3, 1, 2)
    grouped = seen.reshape(seen.shape[0], layer.group, -1)
    return np.ascontiguousarray(grouped.transpose(1, 0, 2))


def _taps(
    starts: npt.NDArray[np.int64], layer: Layer, axis: int, size: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Where a Conv's window reads along rows or columns, `[positions, kernel]`.

    With it: whether that lies in the padding; the nearest place is given for those.
    """
    steps = np.arange(layer.kernel[axis]) * layer.dilations[axis] - layer.pads[axis]
    read = starts[:, None] * layer.strides[axis] + steps
    return np.clip(read, 0, size - 1), (read < 0) | (read >= size)


def results(layer: Layer, output: npt.NDArray[np.generic], chosen: npt.NDArray[np.int64]) -> Floats:
    """What the layer gives at the same positions, as `[G, positions, O / G]`."""
    array = np.asarray(output, np.float32)
    if layer.op_type == "Conv":
        array = np.moveaxis(array, 1, -1)
    flat = array.reshape(-1, array.shape[-1])[chosen]
    return np.ascontiguousarray(flat.reshape(len(flat), layer.group, -1).transpose(1, 0, 2))


def _output_sizes(layer: Layer, shape: Sequence[int]) -> tuple[int, int]:
    """Rows and columns of what a Conv gives for an input of that shape."""
    size = (shape[2], shape[3]) if len(shape) == 4 else (1, shape[2])
    top, left, bottom, right = layer.pads
    padded = (size[0] + top + bottom, size[1] + left + right)
    rows, cols = (
        (whole - (kernel - 1) * dilation - 1) // stride + 1
        for whole, kernel, dilation, stride in zip(
            padded, layer.kernel, layer.dilations, layer.strides, strict=True
        )
    )
    return rows, cols


def plain_encoding(layer: Layer, decision: Decision, data: Encoding) -> Encoding:
    """The encoding of a layer's weight where no algorithm chooses another; `data` is what it reads.

    Its scale leaves room for a bias that is a little larger than the layer's own.
    """
    dtype = decision.dtype or QuantType.UINT8
    encoding = weight_encoding(
        layer.weight, decision.weights, decision.granularity, dtype, decision.scales_apart
    )
    depthwise = layer.group > 1 and layer.matrix.shape[1] == 1
    if dtype.bits > 8 and depthwise and may_overflow(layer.kernel, layer.strides):
        encoding = close_scales(encoding)
    if layer.bias is None:
        return encoding
    return raise_for_bias(encoding, _ROOM * layer.bias, data.scale)


def scales(layer: Layer, encoding: Encoding) -> Floats:
    """The scale of each weight of the layer's matrix, `[G, O, 1]`, with blocks `[G, O, K]`."""
    groups, outputs, inputs = layer.matrix.shape
    if encoding.block:
        spread = np.repeat(encoding.scale, encoding.block, encoding.axis)
        return np.ascontiguousarray(spread.reshape(groups, outputs, inputs))
    scale = np.broadcast_to(encoding.scale.reshape(-1), groups * outputs)
    return np.ascontiguousarray(scale.reshape(groups, outputs, 1))


def _conv(node: ir.Node, data: str, weight: Floats, bias: Floats | None) -> Layer | None:
    rank = weight.ndim - 2
    if rank not in (1, 2) or node.attributes.get_string("auto_pad", "NOTSET") != "NOTSET":
        return None

    def pair(name: str, default: int) -> tuple[int, int]:
        given = list(node.attributes.get_ints(name, [default] * rank))
        return (given[0], given[1]) if rank == 2 else (default, given[0])

    pads = list(node.attributes.get_ints("pads", [0] * (2 * rank)))
    if rank == 1:
        pads = [0, pads[0], 0, pads[1]]
    kernel = weight.shape[2:] if rank == 2 else (1, weight.shape[2])
    return Layer(
        name=str(node.name),
        op_type="Conv",
        data=data,
        weight=weight,
        bias=bias,
        group=node.attributes.get_int("group", 1),
        kernel=(int(kernel[0]), int(kernel[1])),
        strides=pair("strides", 1),
        pads=(pads[0], pads[1], pads[2], pads[3]),
        dilations=pair("dilations", 1),
    )


def _gemm(node: ir.Node, data: str, weight: Floats, bias: Floats | None) -> Layer | None:
    if node.attributes.get_int("transA", 0):
        return None
    scaled, offset = gemm_scaled(node, weight, bias)
    transposed = not node.attributes.get_int("transB", 0)
    return Layer(str(node.name), "Gemm", data, scaled, offset, transposed=transposed)


def _matmul(node: ir.Node, data: str, weight: Floats, _bias: Floats | None) -> Layer | None:
    if weight.ndim != 2:
        return None
    return Layer(str(node.name), "MatMul", data, weight, None, transposed=True)


_BUILDERS = {"Conv": _conv, "Gemm": _gemm, "MatMul": _matmul}
