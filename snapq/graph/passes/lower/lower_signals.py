"""Fourier transforms as products with constant matrices, of which the NPU has fast ones.

1. `DFT(x)` of a known length = MatMul with the cosines and sines, of real and complex `x`, forward
   and inverse, whole or one-sided, along any axis.
2. `STFT(x)` of a real `x` = Conv with a filter for each cosine and sine, times the window, whose
   stride is the step between frames.

Source: the definitions of DFT-20 and STFT-17 of ONNX.
"""

from __future__ import annotations

from math import prod

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, input_at, integers, ints_input
from snapq.graph.passes.base import Result, Skipped
from snapq.graph.shapes import Shape, static_shape

OPERATORS = ("DFT", "STFT")

_MOST = 2**24
"""Numbers of a matrix, 32 MB in fp16: the NPU reads all of it for each transform."""


def apply(node: ir.Node, edit: Editor) -> Result:
    """Writes one transform as a product."""
    source, shape = node.inputs[0], static_shape(node.inputs[0])
    if source is None or shape is None or 0 in shape:
        return False
    if node.op_type == "DFT":
        return _transform(node, source, shape, edit)
    return _frames(node, source, shape, edit)


def _transform(node: ir.Node, source: ir.Value, shape: Shape, edit: Editor) -> Result:
    axis = ints_input(node, 2, (-2,))
    if axis is None or len(shape) < 2 or shape[-1] not in (1, 2):
        return Skipped("its axis is computed, or its last dimension is neither 1 nor 2")
    place = axis[0] % len(shape)
    inverse = bool(node.attributes.get_int("inverse", 0))
    onesided = bool(node.attributes.get_int("onesided", 0))
    halved = onesided and inverse
    length = ints_input(node, 1, (2 * shape[place] - 2 if halved else shape[place],))
    if length is None or (onesided and inverse != (shape[-1] == 2)):
        return Skipped("its length is computed, or it is one-sided of complex numbers")
    most, last = length[0] // 2 + 1 if halved else length[0], len(shape) - 2
    taken = min(shape[place], most)
    if halved:
        matrix = _real_matrix(taken, length[0])
    else:
        matrix = _matrix(taken, length[0], inverse=inverse, onesided=onesided)[:, : shape[-1]]
    if matrix.size > _MOST:
        return Skipped(f"its matrix would hold more than {_MOST:,} numbers")
    # Parts in front of the axis: as last dimension they are what the compiler of the NPU fails at,
    # and the Transposes of two transforms that follow each other become one.
    order = [*(i for i in range(last + 1) if i != place), last + 1, place]
    others = [shape[i] for i in order[:-2]]
    value = source
    if shape[-1] == 2 or place != last:
        value = edit.op("Transpose", value, perm=order)
    if taken < shape[place]:
        axis_now = last + 1 if value is not source else last
        value = edit.op("Slice", value, integers(0), integers(taken), integers(axis_now))
    flat = edit.op("Reshape", value, integers(*others, shape[-1] * taken))
    bins, parts = matrix.shape[2:]
    weight = matrix.transpose(1, 0, 3, 2).reshape(shape[-1] * taken, parts * bins)
    found = edit.op("MatMul", flat, weight.astype(np.float32))
    found = edit.op("Reshape", found, integers(*others, parts, bins))
    return edit.op("Transpose", found, perm=[order.index(i) for i in range(len(shape))])


def _frames(node: ir.Node, source: ir.Value, shape: Shape, edit: Editor) -> Result:
    step, window = ints_input(node, 1, ()), constant(input_at(node, 2))
    length = ints_input(node, 3, window.shape if window is not None else ())
    if not step or not length or (input_at(node, 2) is not None and window is None):
        return Skipped("its window, step or length is computed")
    if len(shape) == 3 and shape[-1] != 1:
        return Skipped("its signal is complex")
    onesided = bool(node.attributes.get_int("onesided", 1))
    matrix = _matrix(length[0], length[0], inverse=False, onesided=onesided)[:, 0]
    if matrix.size > _MOST:
        return Skipped(f"its filters would hold more than {_MOST:,} numbers")
    if window is not None:
        matrix = matrix * window.astype(np.float64)[:, None, None]
    bins, samples = matrix.shape[1], prod(shape[1:])
    filters = matrix.transpose(2, 1, 0).reshape(2 * bins, 1, length[0])
    signal = edit.op("Reshape", source, integers(shape[0], 1, samples))
    found = edit.op("Conv", signal, filters.astype(np.float32), strides=[step[0]])
    count = (samples - length[0]) // step[0] + 1
    found = edit.op("Reshape", found, integers(shape[0], 2, bins, count))
    return edit.op("Transpose", found, perm=[0, 3, 2, 1])


def _matrix(taken: int, length: int, *, inverse: bool, onesided: bool) -> np.ndarray:
    """`[taken, real and imaginary in, bins, real and imaginary out]`, in float64."""
    bins = length // 2 + 1 if onesided else length
    # Whole turns are taken off before the cosine, which is exact only near 0.
    turns = np.outer(np.arange(taken), np.arange(bins)) % length / length
    angles = 2.0 * np.pi * turns * (1.0 if inverse else -1.0)
    cosine, sine = np.cos(angles), np.sin(angles)
    matrix = np.stack(
        [np.stack([cosine, sine], axis=-1), np.stack([-sine, cosine], axis=-1)], axis=1
    )
    return matrix / length if inverse else matrix


def _real_matrix(taken: int, length: int) -> np.ndarray:
    """`[taken, real and imaginary in, length, 1]`: a real signal of one half of its spectrum."""
    matrix = _matrix(taken, length, inverse=True, onesided=False)[..., :1]
    twice = np.full(taken, 2.0)
    twice[0] = 1.0
    if length % 2 == 0 and taken == length // 2 + 1:
        twice[-1] = 1.0
    return np.asarray(matrix * twice[:, None, None, None])
