"""Writes a transposed convolution in the form that the NPU computes rightly.

Qualcomm's runtime (QAIRT 2.51) computes others without a word: depthwise ones with
`output_padding`, and many with a stride of 3 or more; depthwise ones of stride 2 with 5 or 6 taps;
and every grouped one over volumes. In integers and in float alike.

1. `output_padding` is taken off the padding behind, and what that lacks is put behind the kernel as
   zeros.
2. A depthwise kernel of 5 or 6 taps with stride 2 gets zeros behind it, which are padded away.
3. A grouped kernel over volumes becomes one of all channels, with zeros between the groups.

Source: ConvTranspose-11 of ONNX: output = stride x (input - 1) + output_padding + kernel - padding.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, integers, ints_attribute, number
from snapq.graph.passes.base import Result, Skipped
from snapq.graph.shapes import static_shape

OPERATORS = ("ConvTranspose",)

_WRONG_TAPS, _RIGHT_TAPS = (5, 6), 7
"""Of depthwise kernels with stride 2."""


def apply(node: ir.Node, edit: Editor) -> Result:
    """Makes one transposed convolution exact."""
    shape, kernel = static_shape(node.inputs[0]), static_shape(node.inputs[1])
    if shape is None or kernel is None:
        return False
    if len(kernel) == 5 and node.attributes.get_int("group", 1) > 1:
        return _ungroup(node, edit)
    dims = len(kernel) - 2
    dilated = any(step != 1 for step in ints_attribute(node, "dilations") or ())
    automatic = node.attributes.get_string("auto_pad", "NOTSET") != "NOTSET"
    if automatic or "output_shape" in node.attributes:
        return Skipped("its padding is not given in numbers")
    if dilated:
        return False
    wanted = ints_attribute(node, "output_padding") or (0,) * dims
    pads = list(ints_attribute(node, "pads") or (0,) * 2 * dims)
    zeros = [0] * dims
    for axis, stride in enumerate(ints_attribute(node, "strides") or (1,) * dims):
        zeros[axis] = max(0, wanted[axis] - pads[dims + axis])
        taps = kernel[axis + 2] + zeros[axis]
        if shape[1] == node.attributes.get_int("group", 1) and stride == 2 and taps in _WRONG_TAPS:
            zeros[axis] += _RIGHT_TAPS - taps
        pads[dims + axis] += zeros[axis] - wanted[axis]
    if not any((*wanted, *zeros)):
        return False
    if any(zeros):
        _lengthen(node, zeros, edit)
        taps_now = [taps + more for taps, more in zip(kernel[2:], zeros, strict=True)]
        node.attributes["kernel_shape"] = ir.AttrInt64s("kernel_shape", taps_now)
    node.attributes.pop("output_padding", None)
    node.attributes["pads"] = ir.AttrInt64s("pads", pads)
    return True


def _lengthen(node: ir.Node, zeros: list[int], edit: Editor) -> None:
    """Puts zeros behind the kernel."""
    weight = constant(node.inputs[1])
    if weight is None:
        room = integers(0, 0, *[0] * len(zeros), 0, 0, *zeros)
        node.replace_input_with(1, edit.op("Pad", node.inputs[1], room, number(0.0)))
        return
    edit.set_constant(node, 1, np.pad(weight, [(0, 0), (0, 0), *((0, more) for more in zeros)]))


def _ungroup(node: ir.Node, edit: Editor) -> Result:
    """Makes a grouped kernel `[C, M / groups, …]` one of all channels, `[C, M, …]`."""
    weight, groups = constant(node.inputs[1]), node.attributes.get_int("group", 1)
    if weight is None:
        return Skipped("its kernel is computed")
    channels, made = weight.shape[0] // groups, weight.shape[1]
    dense = np.zeros((weight.shape[0], made * groups, *weight.shape[2:]), weight.dtype)
    for group in range(groups):
        inputs = slice(group * channels, (group + 1) * channels)
        dense[inputs, group * made : (group + 1) * made] = weight[inputs]
    edit.set_constant(node, 1, dense)
    node.attributes["group"] = ir.AttrInt64("group", 1)
    return True
