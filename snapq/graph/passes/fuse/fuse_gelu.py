"""Finds GELU in its parts.

1. `0.5 x (1 + erf(x / sqrt(2)))`, however its factors are ordered, becomes `Gelu(x)`.
2. `0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))` becomes `Gelu(x, approximate=tanh)`.
3. A constant factor around it stays as a Mul.

Source: Hendrycks and Gimpel, Gaussian Error Linear Units, arXiv:1606.08415.
"""

from __future__ import annotations

import math

import onnx_ir as ir

from snapq.graph.edit import Editor, is_float
from snapq.graph.passes.algebra import Polynomial, matches, multiple_of, polynomial, upstream
from snapq.graph.passes.base import Result, Skipped

OPERATORS = ("Erf", "Tanh")

_ARGUMENT: dict[str, Polynomial] = {
    "Erf": {(1,): math.sqrt(0.5)},
    "Tanh": {(1,): math.sqrt(2 / math.pi), (3,): 0.044715 * math.sqrt(2 / math.pi)},
}
_GATED: Polynomial = {(1, 0): 0.5, (1, 1): 0.5}


def apply(node: ir.Node, edit: Editor) -> Result:
    """Makes one Gelu of the arithmetic around an Erf or Tanh."""
    argument, gate = node.inputs[0], node.outputs[0]
    if argument is None or not is_float(argument):
        return False
    result: Result = False
    for source in upstream(argument):
        if not matches(polynomial(argument, [source]), _ARGUMENT[node.op_type]):
            continue
        found = multiple_of(_GATED, gate, source)
        if found is not None:
            edit.begin(found[0])
            style = "none" if node.op_type == "Erf" else "tanh"
            edit.replace_scaled(found[0], edit.op("Gelu", source, approximate=style), found[1])
            return True
        result = Skipped(f"`0.5 x (1 + {node.op_type})` does not follow, or in another shape")
    return result
