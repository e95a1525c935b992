"""Scales of blocks as the NPU holds them: 1 to 16 times a step of their output channel.

Measured with one-operator models on the simulator of QAIRT 2.51 ("low-power block quantization").
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.graph.shapes import static_shape
from snapq.quantization.encodings import SMALLEST_SCALE, Encoding, QuantType
from snapq.quantization.granularity import PerBlock

__all__ = [
    "BLOCK_STEPS",
    "INPUTS",
    "block_encoding",
    "by_output",
    "channel_step",
    "in_steps",
    "takes_blocks",
]

BLOCK_STEPS = 16
"""Scales of blocks are 1/16 to 16/16 of the largest one of their output channel."""
INPUTS = 1
"""The axis of a convolution's weight that is divided into blocks."""


def block_encoding(weight: npt.NDArray[np.float32], size: int) -> Encoding:
    """The encoding of a convolution's weight `[O, I, 1, 1]`, with scales `[O, I / size, 1, 1]`.

    So many input channels (I is a multiple of `size`) share a scale.
    """
    outputs, inputs = weight.shape[:2]
    parts = np.abs(weight.astype(np.float64)).reshape(outputs, inputs // size, size)
    wanted = parts.max(axis=2) / QuantType.INT4.qmax
    step = np.maximum(wanted.max(axis=1, keepdims=True), SMALLEST_SCALE * BLOCK_STEPS) / BLOCK_STEPS
    # float32 first: a scale that is no exact multiple would be rounded by the provider.
    step = step.astype(np.float32).astype(np.float64)
    times = np.clip(np.ceil(wanted / step - 1e-6), 1, BLOCK_STEPS)
    scale = (times * step).astype(np.float32).reshape(outputs, inputs // size, 1, 1)
    zero = np.zeros(scale.shape, QuantType.INT4.numpy)
    return Encoding(QuantType.INT4, scale, zero, PerBlock(INPUTS, size))


def channel_step(weight: Encoding) -> npt.NDArray[np.float32]:
    """The scale of each output channel that the scales of its blocks are multiples of, `[O]`.

    The NPU adds a bias at that times the data's scale (simulator of QAIRT 2.51).
    """
    largest = weight.scale.reshape(len(weight.scale), -1).max(axis=1)
    return np.asarray(largest / BLOCK_STEPS, np.float32)


def in_steps(encoding: Encoding) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]] | None:
    """Scales of blocks as the NPU holds them: a step a channel, and how many of it each block has.

    The weight's scales, but for axes of 1, are `[O, I / block]`, or the other way round where the
    blocks divide axis 0.

    Returns:
        Steps `[O]` and counts of 1 to 16 `[O, I / block]`; None where the scales are no multiples,
        or no block of a channel has 16.
    """
    scale = by_output(encoding.scale, encoding.axis)
    if scale is None or encoding.dtype is not QuantType.INT4 or encoding.zero_point.any():
        return None
    scale = np.asarray(scale, np.float32)
    step = scale.max(axis=1, keepdims=True).astype(np.float64) / BLOCK_STEPS
    times = np.rint(scale / step)
    exact = (times * step).astype(np.float32)
    if not np.array_equal(exact, scale) or times.min() < 1:
        return None
    return step.reshape(-1).astype(np.float32), times.astype(np.int64)


def by_output(values: npt.NDArray[np.generic], axis: int | None) -> npt.NDArray[np.generic] | None:
    """Scales or zero points of blocks as `[O, I / block]`; None where there are more than two axes.

    They are shaped as the weight, and the blocks divide the axis.
    """
    if axis not in (0, 1) or values.ndim < 2 or any(size != 1 for size in values.shape[2:]):
        return None
    matrix = values.reshape(values.shape[:2])
    return matrix if axis == INPUTS else matrix.T


def takes_blocks(node: ir.Node, size: int) -> bool:
    """Whether a node is a convolution whose weight the NPU takes by blocks of that size."""
    if node.op_type != "Conv" or node.attributes.get_int("group", 1) != 1:
        return False
    shape = static_shape(node.inputs[1])
    return shape is not None and len(shape) == 4 and shape[2:] == (1, 1) and shape[1] % size == 0
