"""Writes the windows of AveragePool and MaxPool at the border as the NPU computes them rightly.

Qualcomm's runtime (QAIRT 2.51) divides by a wrong count where `ceil_mode` adds a window that ends
behind the input, and where a padding that does not count is more than half a window; and with
`ceil_mode` both pools get a window that would start behind the input, which ONNX does not have.

1. `ceil_mode` that adds no window is dropped.
2. Otherwise the padding of AveragePool grows to what the last window needs, all of it counts, and a
   Mul with a constant makes each mean that of the elements that do count.

Source: AveragePool-19 of ONNX: padding counts where `count_include_pad` says so, what lies behind
it never does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from snapq.graph.edits import Editor, int_attribute, ints_attribute, string_attribute
from snapq.graph.rewriting import Phase, Rule
from snapq.graph.shapes import static_shape

RULE = Rule(Phase.LOWER, ("AveragePool", "MaxPool"))


def rewrite(node: ir.Node, edit: Editor) -> bool:
    """Makes the borders of one pool exact."""
    shape, output = static_shape(node.inputs[0]), static_shape(node.outputs[0])
    kernel = ints_attribute(node, "kernel_shape")
    if shape is None or output is None or kernel is None:
        return False
    if string_attribute(node, "auto_pad", "NOTSET") != "NOTSET" or len(shape) != len(kernel) + 2:
        return False
    dims = len(kernel)
    dilations = ints_attribute(node, "dilations") or (1,) * dims
    strides = ints_attribute(node, "strides") or (1,) * dims
    pads = ints_attribute(node, "pads") or (0,) * 2 * dims
    before, after = pads[:dims], pads[dims:]
    padded = [sum(sides) for sides in zip(before, shape[2:], after, strict=True)]
    spans = [(window - 1) * step + 1 for window, step in zip(kernel, dilations, strict=True)]
    floors = [
        (size - span) // stride + 1
        for size, span, stride in zip(padded, spans, strides, strict=True)
    ]
    ceil = int_attribute(node, "ceil_mode", 0) == 1
    if ceil and _counts(padded, spans, strides, shape[2:], before) == floors:
        del node.attributes["ceil_mode"]
        node.outputs[0].shape = ir.Shape((*shape[:2], *floors))
        return True
    if node.op_type == "MaxPool" or any(dilation != 1 for dilation in dilations):
        return False
    ends = [
        (out - 1) * stride + window
        for out, stride, window in zip(output[2:], strides, kernel, strict=True)
    ]
    beyond = [
        max(0, end - size - low - high)
        for end, size, low, high in zip(ends, shape[2:], before, after, strict=True)
    ]
    counts = int_attribute(node, "count_include_pad", 0) == 1
    wide = any(pad > (kernel[i % dims] - 1) // 2 for i, pad in enumerate(pads))
    if not any(beyond) and (counts or not wide):
        return False
    grown = [high + more for high, more in zip(after, beyond, strict=True)]
    if any(pad >= kernel[i % dims] for i, pad in enumerate((*before, *grown))):
        return False
    pooled = edit.op(
        "AveragePool",
        node.inputs[0],
        kernel_shape=kernel,
        strides=strides,
        pads=[*before, *grown],
        count_include_pad=1,
    )
    scale = np.ones((1, 1, *output[2:]), np.float64)
    for axis in range(dims):
        starts = np.arange(output[axis + 2]) * strides[axis]
        low = 0 if counts else before[axis]
        high = shape[axis + 2] + before[axis] + (after[axis] if counts else 0)
        held = np.minimum(starts + kernel[axis], high) - np.maximum(starts, low)
        line = kernel[axis] / np.maximum(held, 1)
        scale = scale * line.reshape([-1 if i == axis + 2 else 1 for i in range(dims + 2)])
    edit.replace(node.outputs[0], edit.op("Mul", pooled, scale.astype(np.float32)))
    return True


def _counts(
    padded: Sequence[int],
    spans: Sequence[int],
    strides: Sequence[int],
    sizes: Sequence[int],
    before: Sequence[int],
) -> list[int]:
    """Windows along each axis with `ceil_mode`; one that starts behind the input is none."""
    counts = []
    for whole, span, stride, size, low in zip(padded, spans, strides, sizes, before, strict=True):
        count = -((span - whole) // stride) + 1
        counts.append(count - 1 if (count - 1) * stride >= size + low else count)
    return counts
