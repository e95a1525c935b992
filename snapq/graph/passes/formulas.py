"""Functions written out in operators that the NPU computes rightly."""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, number

__all__ = ["softplus"]

_LOG_1P = (0.999937, -0.496789, 0.3054, -0.15603, 0.040663)
"""`ln(1 + u) / u` for u of 0 to 1 by powers of u: off by 6e-5, from the Chebyshev interpolation."""
_NOTHING = 80.0
"""`exp(-80)` is nothing, and fp16's Exp is wrong below -88."""


def softplus(source: ir.Value, edit: Editor, *, float16: bool) -> ir.Value:
    """Adds `ln(1 + exp(x)) = max(x, 0) + ln(1 + u)`, u = exp(-|x|), with a polynomial of u.

    It is off by 3.4e-5 at most.

    Args:
        source: x, of any shape.
        edit: where to add it.
        float16: whether it is computed in fp16, where exponents need a limit.
    """

    def op(op_type: str, *inputs: ir.Value | float) -> ir.Value:
        given = [number(one) if isinstance(one, float) else one for one in inputs]
        result = edit.op(op_type, *given)
        result.shape, result.type = source.shape, source.type
        return result

    size = op("Abs", source)
    if float16:
        size = op("Min", size, _NOTHING)
    power = op("Exp", op("Neg", size))
    *lower, highest = _LOG_1P
    total = op("Mul", power, highest)
    for factor in reversed(lower):
        total = op("Mul", op("Add", total, factor), power)
    return op("Add", op("Relu", source), total)
