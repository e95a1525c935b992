"""Writes mathematical functions that the NPU lacks with those that it has.

1. `asin(x)` = `2 atan(x / (1 + sqrt(1 - x^2)))`, `acos(x)` = `pi / 2 - asin(x)`.
2. `sinh(x)` and `cosh(x)` = `(e^x -+ e^-x) / 2`.
3. `asinh(x)` = `sign(x) log(|x| + sqrt(x^2 + 1))`, `acosh(x)` = `log(x + sqrt(x^2 - 1))`,
   `atanh(x)` = `log((1 + x) / (1 - x)) / 2`.
4. `erf(x)` = `tanh(c (a + b c^2 + d c^4))`, c being x kept in -3.2..3.2: off by at most 4e-5.
5. `Mod(x, y)` of floats = `x - y floor(x / y)`; as fmod, `x - y sign(x / y) floor(|x / y|)`.
6. `IsInf(x)` = `|x| > 3.4e38`, or without the bars for one sign.

Sources: Abramowitz and Stegun, Handbook of Mathematical Functions, 4.4 to 4.6; a, b and d are a
minimax fit of atanh(erf(x)) over 0..3.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import onnx_ir as ir

from snapq.graph.edit import Editor, is_float, number
from snapq.graph.passes.base import Result

_ERF = (1.1281433743, 0.1040812005, -0.0017864802)
_ERF_END = 3.2


def apply(node: ir.Node, edit: Editor) -> Result:
    """Writes one function with others."""
    source = node.inputs[0]
    if source is None or not is_float(source):
        return False
    return _FORMULAS[node.op_type](node, source, edit)


def _asin(node: ir.Node, x: ir.Value, edit: Editor) -> ir.Value:
    root = edit.op("Sqrt", edit.op("Sub", number(1), edit.op("Mul", x, x)))
    angle = edit.op("Atan", edit.op("Div", x, edit.op("Add", root, number(1))))
    return edit.op("Mul", angle, number(2))


def _acos(node: ir.Node, x: ir.Value, edit: Editor) -> ir.Value:
    return edit.op("Sub", number(math.pi / 2), _asin(node, x, edit))


def _sinh_cosh(node: ir.Node, x: ir.Value, edit: Editor) -> ir.Value:
    combine = "Sub" if node.op_type == "Sinh" else "Add"
    result = edit.op(combine, edit.op("Exp", x), edit.op("Exp", edit.op("Neg", x)))
    return edit.op("Mul", result, number(0.5))


def _asinh(node: ir.Node, x: ir.Value, edit: Editor) -> ir.Value:
    root = edit.op("Sqrt", edit.op("Add", edit.op("Mul", x, x), number(1)))
    size = edit.op("Log", edit.op("Add", edit.op("Abs", x), root))
    return edit.op("Mul", edit.op("Sign", x), size)


def _acosh(node: ir.Node, x: ir.Value, edit: Editor) -> ir.Value:
    root = edit.op("Sqrt", edit.op("Sub", edit.op("Mul", x, x), number(1)))
    return edit.op("Log", edit.op("Add", x, root))


def _atanh(node: ir.Node, x: ir.Value, edit: Editor) -> ir.Value:
    ratio = edit.op("Div", edit.op("Add", x, number(1)), edit.op("Sub", number(1), x))
    return edit.op("Mul", edit.op("Log", ratio), number(0.5))


def _erf(node: ir.Node, x: ir.Value, edit: Editor) -> ir.Value:
    kept = edit.op("Clip", x, number(-_ERF_END), number(_ERF_END))
    square = edit.op("Mul", kept, kept)
    line = edit.op("Add", edit.op("Mul", square, number(_ERF[2])), number(_ERF[1]))
    curve = edit.op("Add", edit.op("Mul", line, square), number(_ERF[0]))
    return edit.op("Tanh", edit.op("Mul", curve, kept))


def _mod(node: ir.Node, x: ir.Value, edit: Editor) -> ir.Value:
    ratio = edit.op("Div", x, node.inputs[1])
    if node.attributes.get_int("fmod", 0):
        whole = edit.op("Mul", edit.op("Sign", ratio), edit.op("Floor", edit.op("Abs", ratio)))
    else:
        whole = edit.op("Floor", ratio)
    return edit.op("Sub", x, edit.op("Mul", whole, node.inputs[1]))


def _is_inf(node: ir.Node, x: ir.Value, edit: Editor) -> ir.Value:
    up = node.attributes.get_int("detect_positive", 1)
    down = node.attributes.get_int("detect_negative", 1)
    size = edit.op("Abs", x) if up and down else x if up else edit.op("Neg", x)
    return edit.op("Greater", size, number(3.4e38))


_FORMULAS: dict[str, Callable[[ir.Node, ir.Value, Editor], ir.Value]] = {
    "Asin": _asin,
    "Acos": _acos,
    "Sinh": _sinh_cosh,
    "Cosh": _sinh_cosh,
    "Asinh": _asinh,
    "Acosh": _acosh,
    "Atanh": _atanh,
    "Erf": _erf,
    "Mod": _mod,
    "IsInf": _is_inf,
}

OPERATORS = tuple(_FORMULAS)
