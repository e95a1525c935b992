"""Writes a Softplus of 16 bits in other operators.

The NPU's kernel is right at 8 bits. At 16 it loses 10 dB everywhere, is wrong for values beyond
about 300 (9 dB), and leaves part of its output unwritten for maps of 9 to 12 rows and for narrow
ones of few channels, as SiLU does (2 to 8 dB; simulator of QAIRT 2.51, v68 to v85). Written out, it
is as near to float as the Q/DQ model (49 to 51 dB), for 2.5 times the time of the operator.
"""

from __future__ import annotations

from dataclasses import replace

import onnx_ir as ir

from snapq.graph.edit import Editor, is_float
from snapq.graph.passes.formulas import softplus
from snapq.precision import ActivationType
from snapq.quantization.qdq.scheme import Scheme

__all__ = ["expand_softplus"]


def expand_softplus(graph: ir.Graph, scheme: Scheme) -> Scheme:
    """Writes out each Softplus of 16 bits, in place.

    The last of the new nodes keeps the name, and all have its precision.
    """
    edit, per_node = Editor(graph), dict(scheme.per_node)
    for node in tuple(graph):
        name = str(node.name)
        if node.op_type != "Softplus" or scheme.precision(name)[1] is not ActivationType.UINT16:
            continue
        source = node.inputs[0]
        if source is None or not is_float(source):
            continue
        edit.begin(node)
        before = set(graph)
        edit.replace(node.outputs[0], softplus(source, edit, float16=False))
        graph.remove(node, safe=True)
        made = [one for one in graph if one not in before]
        made[-1].name = name
        if name in scheme.per_node:
            per_node |= dict.fromkeys((str(one.name) for one in made), scheme.per_node[name])
    return replace(scheme, per_node=per_node)
