"""Writes a Reciprocal that is quantized as a division.

Between Q and DQ the NPU multiplies what a Reciprocal gives by the largest number of its input's
encoding, where that is below 1: 0 to 14 dB. A division of 1 is right (simulator of QAIRT 2.51, v68
to v85). In fp16 both are.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Names, add_constant
from snapq.precision import ActivationType
from snapq.quantization.qdq.scheme import Scheme

__all__ = ["divide_for_reciprocal"]


def divide_for_reciprocal(graph: ir.Graph, scheme: Scheme) -> Scheme:
    """Makes each Reciprocal that is not in float a Div of the same name, in place."""
    names = Names(graph)
    for node in tuple(graph):
        float16 = scheme.precision(str(node.name))[1] is ActivationType.FLOAT16
        if node.op_type != "Reciprocal" or float16:
            continue
        output = node.outputs[0]
        name = names.fresh_value(f"{output.name}_one")
        one = add_constant(graph, name, np.array(1, np.float32))
        division = ir.Node("", "Div", [one, node.inputs[0]], outputs=[ir.Value()], name=node.name)
        result = division.outputs[0]
        result.shape, result.type = output.shape, output.type
        graph.insert_before(node, division)
        output.replace_all_uses_with(result, replace_graph_outputs=True)
        graph.remove(node, safe=True)
        result.name = output.name
    return scheme
