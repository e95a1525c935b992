"""Writes a Pad that repeats borders as Concats.

1. `Pad(x)` of mode `edge` becomes a Concat of x with its first and last slices, axis by axis.

Over two axes the NPU's is garbage (-78 to -95 dB; 73 as Concats; simulator of QAIRT 2.51, fp16,
v73 to v81).
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor
from snapq.graph.passes.base import Result
from snapq.graph.passes.npu_workarounds.lower_edge_pad import repeated_edges

OPERATORS = ("Pad",)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Rewrites one Pad."""
    return repeated_edges(node, edit)
