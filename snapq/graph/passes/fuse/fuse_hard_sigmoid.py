"""Finds hard sigmoid in its parts.

1. `clip(a x + b, 0, m) / m` becomes `HardSigmoid(x, a / m, b / m)`; without the division for
   m = 1.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, input_at, is_float, same_shape, scalar
from snapq.graph.passes.algebra import downstream, polynomial, scale_of, upstream
from snapq.graph.passes.base import Result

OPERATORS = ("Clip",)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Makes one HardSigmoid of a Clip and the arithmetic around it."""
    argument, clipped = node.inputs[0], node.outputs[0]
    limit = scalar(input_at(node, 2))
    if argument is None or not is_float(argument) or scalar(input_at(node, 1)) != 0:
        return False
    if limit is None or limit <= 0:
        return False
    result = _normalized(clipped, limit)
    line = _line(argument)
    if result is None or line is None:
        return False
    source, slope, offset = line
    if not same_shape(source, result) or any(
        user is not result.producer() and result is not clipped for user in clipped.consumers()
    ):
        return False
    edit.begin(result)
    fused = edit.op("HardSigmoid", source, alpha=slope / limit, beta=offset / limit)
    edit.replace_scaled(result, fused, 1.0)
    return True


def _normalized(clipped: ir.Value, limit: float) -> ir.Value | None:
    """The value that is the clipped one divided by its limit."""
    if limit == 1:
        return clipped
    for value in downstream(clipped, steps=1):
        if scale_of(polynomial(value, [clipped]), {(1,): 1 / limit}, 1.0) is not None:
            return value
    return None


def _line(argument: ir.Value) -> tuple[ir.Value, float, float] | None:
    """Source, slope and offset where the argument is a line of a source, with an offset."""
    for source in upstream(argument, steps=2):
        found = polynomial(argument, [source])
        if found is not None and set(found) == {(1,), (0,)}:
            return source, found[(1,)], found[(0,)]
    return None
