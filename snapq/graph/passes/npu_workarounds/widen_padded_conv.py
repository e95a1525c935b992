"""Gives a Conv more taps over an axis that it pads by as many elements as it reads, or more.

1. `Conv(x, w, pads)` over an image or a volume takes w with zeros on either side of each such axis,
   so many that it reads more than is padded, and pads as many elements more; but for one tap and
   no stride over all axes.

A filter of 1 x 3 padded on all sides, or of 3 x 3 padded by 3, has -100 dB in fp16, the first of
stride 2 -2 dB at 16 bits, and some end Qualcomm's compiler; with the zeros they have 69 and 46 dB
(simulator of QAIRT 2.51). A Pad in front does not help, as the compiler takes it in.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, ints_attribute
from snapq.graph.passes.base import Result

OPERATORS = ("Conv",)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Widens the weight of one Conv."""
    weight, pads = constant(node.inputs[1]), ints_attribute(node, "pads")
    if weight is None or not pads or weight.ndim < 4 or len(pads) != 2 * (weight.ndim - 2):
        return False
    taps, count = weight.shape[2:], weight.ndim - 2
    strides = ints_attribute(node, "strides") or (1,) * count
    dilations = ints_attribute(node, "dilations") or (1,) * count
    if max(taps) == 1 and max(strides) == 1:
        return False
    steps = [1 if tap == 1 else step for tap, step in zip(taps, dilations, strict=True)]
    zeros = [
        _zeros(taps[axis], steps[axis], max(pads[axis], pads[axis + count]))
        for axis in range(count)
    ]
    if not any(zeros):
        return False
    wider = np.pad(weight, [(0, 0), (0, 0), *((one, one) for one in zeros)])
    edit.set_constant(node, 1, wider)
    more = [one * step for one, step in zip(zeros, steps, strict=True)]
    padded = [width + added for width, added in zip(pads, (*more, *more), strict=True)]
    for name, values in (("pads", padded), ("kernel_shape", wider.shape[2:]), ("dilations", steps)):
        node.attributes[name] = ir.AttrInt64s(name, [int(one) for one in values])
    return True


def _zeros(taps: int, step: int, width: int) -> int:
    """How many taps of zero an axis needs on either side."""
    beyond = width - ((taps - 1) * step + 1)
    return max(0, beyond // step + 1)
