"""Zeros around an image in the form that the NPU computes rightly wherever it stands.

Qualcomm's runtime (QAIRT 2.51) leaves the last column unwritten where a Pad, or what its compiler
makes one, adds zeros behind the last axis and none in front of it, and some to another axis too, to
values that are not in its layout for images. Behind the last axis alone it is wrong where rows are
read by a product or a normalization, perhaps behind activations (-5 to 20 dB in all types), and in
fp16 beside a Relu and what is like it (6 to 10 dB), whatever reads it; simulated on QCS9075.

A Conv of one tap of 1 is right there where nothing is added in front of the other axis, and wrong
where zeros are in front of the rows and nothing is beside them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, integers, is_op, number
from snapq.graph.shapes import static_shape
from snapq.operators import Trait, spec_of

__all__ = ["leaves_a_column", "pads_rows", "zero_padded"]

_READ_ROWS = ("Gemm", "MatMul", "LayerNormalization", "RMSNormalization", "LpNormalization")
_MOST_READERS = 16
"""That are looked at behind a Pad."""


def leaves_a_column(before: Sequence[int], after: Sequence[int]) -> bool:
    """Whether the NPU may leave the last column of a Pad by so much, axis by axis, unwritten."""
    return after[-1] > 0 and before[-1] == 0


def pads_rows(node: ir.Node, before: Sequence[int], after: Sequence[int]) -> bool:
    """Whether a Pad by so much, or what its compiler makes one, lengthens rows as they are read."""
    if not after[-1] or any(before) or any(after[:-1]):
        return False
    seen: set[ir.Node] = set()
    left = list(node.outputs[0].consumers())
    while left and len(seen) < _MOST_READERS:
        reader = left.pop()
        if reader in seen:
            continue
        seen.add(reader)
        if is_op(reader, *_READ_ROWS):
            return True
        if spec_of(reader).has(Trait.ELEMENTWISE) or spec_of(reader).has(Trait.MOVES):
            left.extend(one for output in reader.outputs for one in output.consumers())
    return False


_MOST_CHANNELS = 256
"""Of a depthwise Conv that stands for a Pad."""


def zero_padded(
    source: ir.Value, before: Sequence[int], after: Sequence[int], edit: Editor
) -> ir.Value:
    """`source` `[N, C, spatial…]` with zeros around it: a Pad, or a depthwise Conv of one tap of 1.

    By Qualcomm's estimate the Conv costs as little as the Pad. At 16 bits the compiler does not
    come through it with 512 channels: there is one for every 256. With zeros in front too, where
    the Conv is as wrong as the Pad, the Pad has one axis more, of size 1, at the end.
    """
    shape = static_shape(source)
    assert shape is not None
    sizes = (sum(parts) for parts in zip(before, shape[2:], after, strict=True))
    whole = (*shape[:2], *sizes)
    partly = leaves_a_column(before, after)
    if partly and any(before):
        deep = edit.op("Reshape", source, integers(*shape, 1))
        amounts = integers(0, 0, *before, 0, 0, 0, *after, 0)
        result = edit.op("Reshape", edit.op("Pad", deep, amounts), integers(*whole))
    elif partly:
        counts = [_MOST_CHANNELS] * (shape[1] // _MOST_CHANNELS)
        counts += [rest] if (rest := shape[1] % _MOST_CHANNELS) else []
        parts: tuple[ir.Value, ...] = (source,)
        if len(counts) > 1:
            parts = edit.ops("Split", source, integers(*counts), outputs=len(counts), axis=1)
        padded = [
            edit.op(
                *("Conv", part, np.ones((count, 1, *(1 for _ in before)), np.float32)),
                kernel_shape=[1 for _ in before],
                pads=(*before, *after),
                group=count,
            )
            for part, count in zip(parts, counts, strict=True)
        ]
        result = edit.op("Concat", *padded, axis=1) if len(padded) > 1 else padded[0]
    else:
        amounts = integers(0, 0, *before, 0, 0, *after)
        result = edit.op("Pad", source, amounts, number(0.0))
    result.shape = ir.Shape(whole)
    return result
