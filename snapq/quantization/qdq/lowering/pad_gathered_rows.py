"""Gathers rows that will be quantized as `snapq.graph.passes.npu_workarounds.pad_gathered_rows`.

At 8 bits rows of 8, 16 and 32 elements are wrong, at 16 bits those of 4, 8 and 16, and those that
are longer by a multiple of 256 (260 at 16 bits: 9 to 27 dB for 90). So are rows of a table, by
computed indices: of 7 rows of 16 elements at 16 bits 2 dB. Simulated on QCS9075.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, is_float, remove_unused_constants
from snapq.graph.passes.npu_workarounds.pad_gathered_rows import gathered
from snapq.quantization.qdq.scheme import Scheme

__all__ = ["pad_gathered_rows"]

_LENGTHS = (4, 8, 16, 32)
"""Which of both it will be, what is gathered decides later."""


def pad_gathered_rows(graph: ir.Graph, scheme: Scheme) -> Scheme:
    """Pads what each such Gather reads, in place; the new Gather has the old one's name."""
    edit = Editor(graph)
    for node in tuple(graph):
        if node.op_type != "Gather" or not is_float(node.inputs[0]):
            continue
        edit.begin(node)
        result = gathered(node, edit, _LENGTHS, tables=True)
        if result is None:
            continue
        made = result.producer()
        while made is not None and made.op_type != "Gather":
            made = made.inputs[0].producer() if made.inputs[0] is not None else None
        edit.replace(node.outputs[0], result)
        graph.remove(node, safe=True)
        if made is not None:
            made.name = node.name
    remove_unused_constants(graph)
    return scheme
