"""Operators that compute element by element, with ONNX's (numpy's) broadcasting."""

from __future__ import annotations

from functools import reduce

import onnx_ir as ir

from snapq.training.library import Tensor, functional, torch
from snapq.training.operators.base import Attributes, Operator, Unsupported

__all__ = ["ELEMENTWISE"]


def _gelu(a: Attributes, x: Tensor) -> Tensor:
    return functional.gelu(x, approximate=a.text("approximate", "none"))


def _hard_sigmoid(a: Attributes, x: Tensor) -> Tensor:
    return torch.clamp(a.real("alpha", 0.2) * x + a.real("beta", 0.5), 0.0, 1.0)


def _selu(a: Attributes, x: Tensor) -> Tensor:
    alpha, gamma = a.real("alpha", 1.67326319217681884765625), a.real("gamma", 1.05070102214813232)
    return gamma * (torch.relu(x) + alpha * torch.expm1(torch.clamp(x, max=0.0)))


def _swish(a: Attributes, x: Tensor) -> Tensor:
    return x * torch.sigmoid(a.real("alpha", 1.0) * x)


def _shrink(a: Attributes, x: Tensor) -> Tensor:
    bias, limit = a.real("bias", 0.0), a.real("lambd", 0.5)
    zero = torch.zeros_like(x)
    return torch.where(x < -limit, x + bias, torch.where(x > limit, x - bias, zero))


def _clip(
    a: Attributes, x: Tensor, low: Tensor | None = None, high: Tensor | None = None
) -> Tensor:
    least, most = _number(low), _number(high)
    if (low is None or least is not None) and (high is None or most is not None):
        # One operation, of which the gradient takes one pass over x where two take ten.
        return x if low is None and high is None else torch.clamp(x, least, most)
    if low is not None:
        x = torch.maximum(x, low)
    return x if high is None else torch.minimum(x, high)


def _number(bound: Tensor | None) -> float | int | None:
    """A bound as a number; None where it is none, learns, or differs between samples."""
    if bound is None or bound.requires_grad:
        return None
    try:
        value: float | int = bound.item()
    except RuntimeError:  # mapped over the samples of a batch
        return None
    return value


def _div(a: Attributes, x: Tensor, y: Tensor) -> Tensor:
    return x / y if x.is_floating_point() else torch.div(x, y, rounding_mode="trunc")


def _mod(a: Attributes, x: Tensor, y: Tensor) -> Tensor:
    return torch.fmod(x, y) if a.integer("fmod") else torch.remainder(x, y)


def _prelu(a: Attributes, x: Tensor, slope: Tensor) -> Tensor:
    return torch.clamp(x, min=0.0) + slope * torch.clamp(x, max=0.0)


def _cast(a: Attributes, x: Tensor) -> Tensor:
    kind = _TYPES.get(ir.DataType(a.integer("to")).name)
    if kind is None:
        raise Unsupported(f"a Cast to {ir.DataType(a.integer('to')).name.lower()}")
    return x.to(getattr(torch, kind))


_TYPES = {
    "FLOAT": "float32",
    "DOUBLE": "float32",
    "FLOAT16": "float32",
    "BFLOAT16": "float32",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "UINT8": "uint8",
    "BOOL": "bool",
}
"""Reals are computed in float32 whatever their type, as the prepare stage does it."""

ELEMENTWISE: dict[str, Operator] = {
    "Identity": Operator(lambda a, x: x),
    "Cast": Operator(_cast),
    # One input.
    "Abs": Operator(lambda a, x: x.abs()),
    "Neg": Operator(lambda a, x: -x),
    "Sign": Operator(lambda a, x: torch.sign(x)),
    "Ceil": Operator(lambda a, x: torch.ceil(x)),
    "Floor": Operator(lambda a, x: torch.floor(x)),
    "Round": Operator(lambda a, x: torch.round(x)),
    "Sqrt": Operator(lambda a, x: torch.sqrt(x)),
    "Reciprocal": Operator(lambda a, x: torch.reciprocal(x)),
    "Exp": Operator(lambda a, x: torch.exp(x)),
    "Log": Operator(lambda a, x: torch.log(x)),
    "Sin": Operator(lambda a, x: torch.sin(x)),
    "Cos": Operator(lambda a, x: torch.cos(x)),
    "Tan": Operator(lambda a, x: torch.tan(x)),
    "Asin": Operator(lambda a, x: torch.asin(x)),
    "Acos": Operator(lambda a, x: torch.acos(x)),
    "Atan": Operator(lambda a, x: torch.atan(x)),
    "Sinh": Operator(lambda a, x: torch.sinh(x)),
    "Cosh": Operator(lambda a, x: torch.cosh(x)),
    "Tanh": Operator(lambda a, x: torch.tanh(x)),
    "Erf": Operator(lambda a, x: torch.erf(x)),
    "IsNaN": Operator(lambda a, x: torch.isnan(x)),
    "IsInf": Operator(lambda a, x: torch.isinf(x)),
    # Activations.
    "Relu": Operator(lambda a, x: torch.relu(x)),
    "LeakyRelu": Operator(lambda a, x: functional.leaky_relu(x, a.real("alpha", 0.01))),
    "ThresholdedRelu": Operator(lambda a, x: x * (x > a.real("alpha", 1.0))),
    "Elu": Operator(lambda a, x: functional.elu(x, a.real("alpha", 1.0))),
    "Celu": Operator(lambda a, x: functional.celu(x, a.real("alpha", 1.0))),
    "Selu": Operator(_selu),
    "Gelu": Operator(_gelu),
    "Sigmoid": Operator(lambda a, x: torch.sigmoid(x)),
    "HardSigmoid": Operator(_hard_sigmoid),
    "HardSwish": Operator(lambda a, x: functional.hardswish(x)),
    "Swish": Operator(_swish),
    "QuickGelu": Operator(_swish),
    "Mish": Operator(lambda a, x: functional.mish(x)),
    "Softplus": Operator(lambda a, x: functional.softplus(x)),
    "Softsign": Operator(lambda a, x: functional.softsign(x)),
    "Shrink": Operator(_shrink),
    "Clip": Operator(_clip),
    # Two inputs and more.
    "Add": Operator(lambda a, x, y: x + y, weights=(0, 1)),
    "Sub": Operator(lambda a, x, y: x - y, weights=(0, 1)),
    "Mul": Operator(lambda a, x, y: x * y, weights=(0, 1)),
    "Div": Operator(_div),
    "Pow": Operator(lambda a, x, y: torch.pow(x, y)),
    "Mod": Operator(_mod),
    "PRelu": Operator(_prelu, weights=(1,)),
    "Max": Operator(lambda a, *values: reduce(torch.maximum, values)),
    "Min": Operator(lambda a, *values: reduce(torch.minimum, values)),
    "Sum": Operator(lambda a, *values: sum(values[1:], values[0])),
    "Mean": Operator(lambda a, *values: sum(values[1:], values[0]) / len(values)),
    # Answers that are not real numbers.
    "Equal": Operator(lambda a, x, y: x == y),
    "Greater": Operator(lambda a, x, y: x > y),
    "GreaterOrEqual": Operator(lambda a, x, y: x >= y),
    "Less": Operator(lambda a, x, y: x < y),
    "LessOrEqual": Operator(lambda a, x, y: x <= y),
    "And": Operator(lambda a, x, y: x & y),
    "Or": Operator(lambda a, x, y: x | y),
    "Xor": Operator(lambda a, x, y: x ^ y),
    "Not": Operator(lambda a, x: ~x),
    "Where": Operator(lambda a, condition, x, y: torch.where(condition, x, y)),
}
