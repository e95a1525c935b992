"""Unrolls LSTM and GRU layers that will be quantized, where the NPU's own ones are slower.

The NPU has both in float only. As integer products and gates, LSTMs of 32 steps take .92, 1.09 and
.74 of that time with 64, 128 and 256 features at w8a16 on QCS9075, and .67 on SA8797P; the compiler
takes as long (estimated). On chips without float they run on the NPU in no other way.
"""

from __future__ import annotations

from dataclasses import replace

import onnx_ir as ir

from snapq.graph.edit import Editor, remove_unused_constants
from snapq.graph.passes.lower.unroll_recurrent import unrolled
from snapq.operators import Family, in_families
from snapq.quantization.qdq.scheme import Scheme, integer_type

__all__ = ["unroll_recurrent"]

_LONGEST = 64
_LONGEST_WITHOUT_FLOAT = 256
"""The compiler's time grows with the square of the steps."""


def unroll_recurrent(graph: ir.Graph, scheme: Scheme) -> Scheme:
    """Unrolls layers that are not to stay in float, in place; new nodes have their precision."""
    longest = _LONGEST if scheme.float16 else _LONGEST_WITHOUT_FLOAT
    edit = Editor(graph)
    per_node = dict(scheme.per_node)
    for node in tuple(graph):
        name = str(node.name)
        if node.op_type not in in_families(Family.RECURRENT):
            continue
        if integer_type(scheme.precision(name)[1]) is None:
            continue
        known = set(graph)
        edit.begin(node)
        if not unrolled(node, edit, longest):
            continue
        graph.remove(node, safe=True)
        if name in per_node:
            new = set(graph) - known
            per_node.update(dict.fromkeys((str(one.name) for one in new), per_node[name]))
    remove_unused_constants(graph)
    return replace(scheme, per_node=per_node)
