"""Weights, scales and biases: constants that a node has to itself, held as integers.

The HTP adds a bias at exactly `scale of the data x scale of the weight`, whatever encoding the
model declares, so that is the encoding that is declared here. Where a bias does not fit into 32
bits at that scale, the weight's scale is raised until it does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.operators import weight_axes
from snapq.quantization.encodings import Encoding, QuantType, asymmetric, reduced_axes, symmetric
from snapq.quantization.granularity import PER_OUTPUT, Granularity, PerBlock, PerTensor, granularity
from snapq.quantization.qdq.block_scales import block_encoding, channel_step

__all__ = [
    "LARGEST_BIAS",
    "Tuned",
    "bias_encoding",
    "close_scales",
    "gemm_scaled",
    "may_overflow",
    "raise_for_bias",
    "takes",
    "weight_axis",
    "weight_encoding",
    "whole_range",
]


@dataclass(frozen=True)
class Tuned:
    """What an algorithm found for the weight of one node.

    Attributes:
        encoding: of the weight; symmetric.
        integers: the weight, shaped as the node's.
        bias: `[O]` in float; None where the node's own stays.
    """

    encoding: Encoding
    integers: npt.NDArray[np.generic]
    bias: npt.NDArray[np.float32] | None = None


LARGEST_BIAS = 2.0**31 - 129
"""A little under int32's limit: float32 scales are exact to 24 bits only."""
_FEW_CODES = 8
"""Which part of the range of its type a weight may use and lose nothing to speak of: 1 / 8."""
_OVERFLOWS = 128, 1024
_SCALES_APART = 64
_MOST_APART = 1024
_SMALLEST_WEIGHT = 1e-6
"""Range of a weight of zeros: small, so that its bias keeps its precision."""


def weight_axis(node: ir.Node, rank: int) -> int | None:
    """The output-channel axis of a node's weight; None where it can have but one scale.

    A grouped ConvTranspose holds the output channels of one group only along its axis, and the
    provider refuses one scale a channel there.
    """
    if node.op_type == "ConvTranspose" and node.attributes.get_int("group", 1) > 1:
        return None
    axes = weight_axes(node, rank)
    return None if axes is None else axes[0]


def weight_encoding(
    weight: npt.NDArray[np.float32],
    dtype: QuantType,
    shared: Granularity,
    data: QuantType,
    apart: int | None = None,
) -> Encoding:
    """Symmetric for signed types, asymmetric and with one scale for unsigned ones.

    A channel whose weights are so small beside the largest channel's that its output spans less
    than one step of the data type takes no finer scale than that. It loses nothing, and the
    compiler gives a layer with widely spread scales slower code (EfficientNet-Lite0, w8a8, float
    boundary, QCS9075: 484 to 460 thousand cycles by Qualcomm's estimate).

    `data` is the type of the data that it is multiplied with; where that has 16 bits, the largest
    scale is at most `apart` times the smallest, 1,024 where not given. With 65,536 the NPU gives
    the output's lowest code for channels of next to nothing (3 to 7 dB for the layer; simulator of
    QAIRT 2.51, v73 to v81), of which the output holds a few codes only.
    """
    if isinstance(shared, PerBlock):
        return block_encoding(weight, shared.size)
    if not dtype.signed:
        low, high = (weight.min(), weight.max()) if weight.size else (0.0, 0.0)
        return asymmetric(low, high, dtype)
    if not weight.size:
        return symmetric(0.0, dtype)
    magnitude = np.abs(weight).max(axis=reduced_axes(weight.shape, shared))
    steps = 2.0**data.bits if data.bits == 8 else float(apart or _MOST_APART)
    magnitude = np.maximum(magnitude, max(magnitude.max() / steps, _SMALLEST_WEIGHT))
    return symmetric(magnitude, dtype, shared)


def whole_range(weight: npt.NDArray[np.float32], encoding: Encoding) -> Encoding:
    """An encoding of 8 bits in which 16-bit data can be multiplied with a weight.

    The NPU drops the low bits of each product: with a one-hot weight coded as 1 it has 44 dB, coded
    as 127 it has 84; with an unsigned weight 47 to 49 dB, whatever its zero point is, but for 128,
    where it has 95 (one product, simulator of QAIRT 2.51, v73).

    1. Signed weights that use an eighth of the range or less have their scales divided by a whole
       number, so that they hold the same values. With more of it, little is lost: 81 dB at 20.
    2. Unsigned ones have zero point 128, and the same scale where that holds their values, else
       that of the largest.
    """
    shared = encoding.granularity
    if isinstance(shared, PerBlock) or encoding.dtype.bits != 8 or not weight.size:
        return encoding
    largest = np.abs(weight).max(axis=reduced_axes(weight.shape, shared))
    if not encoding.dtype.signed:
        least = np.asarray(largest / 127, np.float32)
        scale = np.maximum(encoding.scale, least)
        return replace(encoding, scale=scale, zero_point=np.full(scale.shape, 128, np.uint8))
    used = np.rint(largest / encoding.scale)
    times = np.where(used > 0, encoding.dtype.qmax // np.maximum(used, 1), 1)
    times = np.where(times < _FEW_CODES, 1, times)
    if (times == 1).all():
        return encoding
    return replace(encoding, scale=np.asarray(encoding.scale / times, np.float32))


def may_overflow(taps: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether a depthwise Conv of 16-bit data has a kernel that needs `close_scales`."""
    return max(strides) > 1 or max(taps) == 1


def close_scales(encoding: Encoding) -> Encoding:
    """An encoding of a depthwise Conv's weight with which 16-bit data can be multiplied.

    Of strided ones and of one tap: where the largest of the channels' scales is 155 to 450 times
    the smallest, sums of the NPU overflow: -13 to 4 dB for 50, on v68 to v81, and right below and
    above (168 random layers, simulator of QAIRT 2.51). There and near it, scales smaller than
    1 / 64 of the largest are raised to it, which is below the noise of the output.
    """
    if encoding.axis is None or encoding.block:
        return encoding
    largest = encoding.scale.max()
    if not _OVERFLOWS[0] < largest / encoding.scale.min() < _OVERFLOWS[1]:
        return encoding
    return replace(encoding, scale=np.maximum(encoding.scale, np.float32(largest / _SCALES_APART)))


def takes(
    encoding: Encoding, dtype: QuantType, shared: Granularity, shape: tuple[int, ...]
) -> bool:
    """Whether a node that wants its weight so can take a given encoding without blocks.

    Signed weights have zero point 0, and 4-bit ones a scale for each channel where they can: the
    NPU has no other kernels. Who takes blocks of input channels takes a scale an output channel.
    """
    if encoding.dtype is not dtype or (dtype.signed and encoding.zero_point.any()):
        return False
    wanted = PER_OUTPUT if isinstance(shared, PerBlock) else shared
    if encoding.axis is None:
        return isinstance(wanted, PerTensor) or dtype.bits > 4
    return encoding.granularity == wanted and encoding.scale.shape == (shape[encoding.axis],)


def raise_for_bias(
    weight: Encoding, bias: npt.NDArray[np.float32], data_scale: npt.NDArray[np.float32]
) -> Encoding:
    """The weight's encoding, with scales raised where the bias, `[C]`, would overflow 32 bits."""
    needed = np.abs(bias.astype(np.float64)) / (float(data_scale) * LARGEST_BIAS)
    if weight.block:
        step = channel_step(weight)
        column = (-1, *[1] * (weight.scale.ndim - 1))
        # float32 before it is multiplied: scales that are no exact multiples would be rounded.
        raised = np.maximum(needed, step).astype(np.float32).astype(np.float64).reshape(column)
        times = np.rint(weight.scale / step.reshape(column))
        scale = (times * raised).astype(np.float32)
        return replace(weight, scale=scale)
    least = needed if weight.axis is not None else needed.max(initial=0.0)
    if not (least > weight.scale).any():
        return weight
    return replace(weight, scale=np.maximum(weight.scale, least).astype(np.float32))


def bias_encoding(weight: Encoding, data_scale: npt.NDArray[np.float32]) -> Encoding:
    """int32 at data scale x weight scale, zero point 0, one scale for each of the weight's."""
    step = channel_step(weight) if weight.block else weight.scale
    scale = np.asarray(step * data_scale, np.float32)
    zero = np.zeros(scale.shape, np.int32)
    return Encoding(QuantType.INT32, scale, zero, granularity(None if weight.axis is None else 0))


def gemm_scaled(
    node: ir.Node, weight: npt.NDArray[np.float32], bias: npt.NDArray[np.float32] | None
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]:
    """Weight and bias of a Gemm with its alpha and beta multiplied in, the bias as `[N]`."""
    alpha = np.float32(node.attributes.get_float("alpha", 1.0))
    beta = np.float32(node.attributes.get_float("beta", 1.0))
    columns = weight.shape[0 if node.attributes.get_int("transB", 0) else 1]
    scaled = weight if alpha == 1 else weight * alpha
    if bias is None:
        return scaled, None
    return scaled, np.ascontiguousarray(np.broadcast_to(bias.reshape(-1), (columns,)) * beta)
