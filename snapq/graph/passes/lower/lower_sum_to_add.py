"""Writes sums of several inputs as Add, which the NPU has in integers.

1. `Sum(a, b, c)` becomes `Add(Add(a, b), c)`; of one input it is that input.
2. `Mean(a, b, c)` becomes that times 1/3.
"""

from __future__ import annotations

from functools import reduce

import onnx_ir as ir

from snapq.graph.edit import Editor, number
from snapq.graph.passes.base import Result

OPERATORS = ("Sum", "Mean")


def apply(node: ir.Node, edit: Editor) -> Result:
    """Writes one sum with Adds."""
    terms = [value for value in node.inputs if value is not None]
    if not terms or len(terms) != len(node.inputs):
        return False
    result = reduce(lambda total, term: edit.op("Add", total, term), terms)
    if node.op_type == "Mean" and len(terms) > 1:
        result = edit.op("Mul", result, number(1 / len(terms)))
    return result
