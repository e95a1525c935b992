"""Fills the holes of a dilated kernel that is no larger than 3 x 3 with them.

1. A Conv of one group over a map, with constant weights and dilation, whose kernel with the holes
   has 3 taps at most along each axis, has that kernel, with zeros in the holes.

The NPU's layers with dilation are slow enough for the additional products to pay. Estimated in us
on QCS9075 and SA8797P (QAIRT 2.51), a kernel of 2 x 2 with dilation 2 between layers of one tap,
128 channels of 32 x 256: w8a8 313 and 176 against 201 and 139, w8a16 504 and 301 against 328 and
210, fp16 809 and 296 against 550 and 241; on SA8797P in fp16, 32 x 1,024 places, 519 against 849.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, ints_attribute
from snapq.graph.passes.base import Result

OPERATORS = ("Conv",)

_MAP_RANK, _MOST_TAPS = 4, 3


def apply(node: ir.Node, edit: Editor) -> Result:
    """Fills one kernel."""
    dilations, weight = ints_attribute(node, "dilations") or (), constant(node.inputs[1])
    if set(dilations) <= {1} or weight is None or weight.ndim != _MAP_RANK:
        return False
    taps = [(size - 1) * step + 1 for size, step in zip(weight.shape[2:], dilations, strict=True)]
    if max(taps) > _MOST_TAPS or taps == list(weight.shape[2:]):
        return False
    if node.attributes.get_int("group", 1) != 1:
        return False
    kernel = np.zeros((*weight.shape[:2], *taps), weight.dtype)
    kernel[:, :, :: dilations[0], :: dilations[1]] = weight
    edit.set_constant(node, 1, kernel)
    node.attributes["dilations"] = ir.AttrInt64s("dilations", (1, 1))
    node.attributes["kernel_shape"] = ir.AttrInt64s("kernel_shape", taps)
    return True
