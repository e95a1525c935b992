"""Operators that compute each element from the elements at the same place, with broadcasting."""

from __future__ import annotations

import onnx_ir as ir

from snapq.pruning.axes import Axes
from snapq.pruning.rules.base import Rule, broadcast


def _tie(node: ir.Node, axes: Axes) -> None:
    """1. Each input axis of the output's length belongs to the output's axis (from the right).

    2. An axis of length 1 that is broadcast belongs to nothing.
    """
    for output in node.outputs:
        if axes.knows(output):
            for value in node.inputs:
                if axes.knows(value):
                    broadcast(axes, value, output)


_UNARY = (
    *("Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "BitwiseNot", "Cast", "Ceil"),
    *("Celu", "Clip", "Cos", "Cosh", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid"),
    *("HardSwish", "Identity", "IsInf", "IsNaN", "LeakyRelu", "Log", "Mish", "Neg", "Not"),
    *("QuickGelu", "Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid", "Sign", "Sin"),
    *("Sinh", "Softplus", "Softsign", "Sqrt", "Swish", "Tan", "Tanh", "ThresholdedRelu", "Dropout"),
)
_MANY = (
    *("Add", "And", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Div", "Equal", "Greater", "Less"),
    *("GreaterOrEqual", "LessOrEqual", "Max", "Mean", "Min", "Mod", "Mul", "Or", "PRelu", "Pow"),
    *("Sub", "Sum", "Where", "Xor"),
)
RULES = dict.fromkeys((*_UNARY, *_MANY), Rule(_tie))
