"""Operators that compute element by element, with ONNX's (numpy's) broadcasting."""

from __future__ import annotations

from functools import partial, reduce

import onnx_ir as ir

from snapq.training.library import Tensor, functional, torch
from snapq.training.operators.base import Attributes, Operator, Unsupported

__all__ = ["ELEMENTWISE"]


def _named(*names: str, library: object = torch) -> dict[str, Operator]:
    """Operators of one input that PyTorch has under the same names, in small letters."""

    def run(name: str, a: Attributes, x: Tensor) -> Tensor:
        result: Tensor = getattr(library, name.lower())(x)
        return result

    return {name: Operator(partial(run, name)) for name in names}


def _selu(a: Attributes, x: Tensor) -> Tensor:
    alpha, gamma = a.real("alpha", 1.67326319217681884765625), a.real("gamma", 1.05070102214813232)
    return gamma * (torch.relu(x) + alpha * torch.expm1(torch.clamp(x, max=0.0)))


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
    **_named("Abs", "Neg", "Sign", "Ceil", "Floor", "Round", "Sqrt", "Reciprocal", "Exp", "Log"),
    **_named("Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Tanh", "Erf"),
    **_named("IsNaN", "IsInf"),
    # Activations.
    **_named("Relu", "Sigmoid"),
    **_named("HardSwish", "Mish", "Softplus", "Softsign", library=functional),
    "LeakyRelu": Operator(lambda a, x: functional.leaky_relu(x, a.real("alpha", 0.01))),
    "ThresholdedRelu": Operator(lambda a, x: x * (x > a.real("alpha", 1.0))),
    "Elu": Operator(lambda a, x: functional.elu(x, a.real("alpha", 1.0))),
    "Celu": Operator(lambda a, x: functional.celu(x, a.real("alpha", 1.0))),
    "Selu": Operator(_selu),
    "Gelu": Operator(lambda a, x: functional.gelu(x, approximate=a.text("approximate", "none"))),
    "HardSigmoid": Operator(
        lambda a, x: torch.clamp(a.real("alpha", 0.2) * x + a.real("beta", 0.5), 0.0, 1.0)
    ),
    **dict.fromkeys(
        ("Swish", "QuickGelu"), Operator(lambda a, x: x * torch.sigmoid(a.real("alpha", 1.0) * x))
    ),
    "Shrink": Operator(_shrink),
    "Clip": Operator(_clip),
    # Two inputs and more.
    "Add": Operator(lambda a, x, y: x + y, weights=(0, 1)),
    "Sub": Operator(lambda a, x, y: x - y, weights=(0, 1)),
    "Mul": Operator(lambda a, x, y: x * y, weights=(0, 1)),
    "Div": Operator(
        lambda a, x, y: x / y if x.is_floating_point() else torch.div(x, y, rounding_mode="trunc")
    ),
    "Pow": Operator(lambda a, x, y: torch.pow(x, y)),
    "Mod": Operator(lambda a, x, y: (torch.fmod if a.integer("fmod") else torch.remainder)(x, y)),
    "PRelu": Operator(
        lambda a, x, slope: x.clamp(min=0.0) + slope * x.clamp(max=0.0), weights=(1,)
    ),
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
