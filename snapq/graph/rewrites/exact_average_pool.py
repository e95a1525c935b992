"""Writes the windows of AveragePool at the border in a form that the NPU computes rightly.

Qualcomm's runtime (QAIRT 2.51) divides by a wrong count where `ceil_mode` adds a window that ends
behind the input, and where a padding that does not count is more than half a window.

1. `ceil_mode` that adds no window is dropped.
2. Otherwise the padding grows to what the last window needs, all of it counts, and a Mul with a
   constant makes each mean that of the elements that do count.

Source: AveragePool-19 of ONNX: padding counts where `count_include_pad` says so, what lies behind
it never does.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edits import Editor, int_attribute, ints_attribute, string_attribute
from snapq.graph.rewriting import Phase, Rule
from snapq.graph.shapes import static_shape

RULE = Rule(Phase.LOWER, ("AveragePool",))


def rewrite(node: ir.Node, edit: Editor) -> bool:
    """Makes the borders of one AveragePool exact."""
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
    if any(dilation != 1 for dilation in dilations):
        return False
    ends = [
        (out - 1) * stride + window
        for out, stride, window in zip(output[2:], strides, kernel, strict=True)
    ]
    before, after = pads[:dims], pads[dims:]
    beyond = [
        max(0, end - size - low - high)
        for end, size, low, high in zip(ends, shape[2:], before, after, strict=True)
    ]
    counts = int_attribute(node, "count_include_pad", 0) == 1
    wide = any(pad > (kernel[i % dims] - 1) // 2 for i, pad in enumerate(pads))
    if not any(beyond) and (counts or not wide):
        if int_attribute(node, "ceil_mode", 0) == 0:
            return False
        del node.attributes["ceil_mode"]
        return True
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
