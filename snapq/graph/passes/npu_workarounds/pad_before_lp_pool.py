"""Pads in front of LpPool, whose own padding crashes Qualcomm's compiler (QAIRT 2.51).

1. `LpPool(x, pads)` becomes `LpPool(Pad(x, 0))`: zeros add nothing to a norm.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, integers, ints_attribute
from snapq.graph.passes.base import Result

OPERATORS = ("LpPool",)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Moves the padding of one LpPool in front of it."""
    pads = ints_attribute(node, "pads")
    automatic = node.attributes.get_string("auto_pad", "NOTSET") != "NOTSET"
    if pads is None or not any(pads) or automatic:
        return False
    half = len(pads) // 2
    every = integers(0, 0, *pads[:half], 0, 0, *pads[half:])
    node.replace_input_with(0, edit.op("Pad", node.inputs[0], every))
    del node.attributes["pads"]
    return True
