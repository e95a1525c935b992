"""Activations, gates and arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from benchmarks.hunt.operators.table import Rng, Row, along, chance, nothing, pick
from benchmarks.hunt.recipe import Builder, ImpossibleError, Settings, Shape, Value


def unary(op_type: str, **attributes: Any) -> Row:
    """An operator of one input that keeps the shape."""

    def emit(g: Builder, x: Sequence[Value], _s: Settings) -> Value:
        return g.apply(op_type, [x[0]], x[0].shape, **attributes)

    return Row(nothing, emit)


def _then(g: Builder, op_type: str, *inputs: Value | str, **attributes: Any) -> Value:
    """A node whose output has the shape of its first computed input."""
    shape = next(one.shape for one in inputs if isinstance(one, Value))
    return g.apply(op_type, list(inputs), shape, **attributes)


def silu(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """X * sigmoid(k x)."""
    k = s["k"]
    inner = x[0] if k == 1 else _then(g, "Mul", x[0], g.constant(k))
    return _then(g, "Mul", x[0], _then(g, "Sigmoid", inner))


def mish(g: Builder, x: Sequence[Value], _s: Settings) -> Value:
    """X * tanh(softplus(x)), as PyTorch exports it."""
    return _then(g, "Mul", x[0], _then(g, "Tanh", _then(g, "Softplus", x[0])))


def gelu_by_hand(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """GELU of Erf, or its form with Tanh."""
    if s["tanh"]:
        cubed = _then(g, "Pow", x[0], g.constant(3.0))
        inner = _then(g, "Add", x[0], _then(g, "Mul", cubed, g.constant(0.044715)))
        bent = _then(g, "Tanh", _then(g, "Mul", inner, g.constant(0.7978846)))
    else:
        bent = _then(g, "Erf", _then(g, "Div", x[0], g.constant(1.4142135)))
    raised = _then(g, "Add", bent, g.constant(1.0))
    return _then(g, "Mul", _then(g, "Mul", x[0], raised), g.constant(0.5))


def relu6_gate(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """X * clip(x + 3, 0, 6) / 6, as older exporters write HardSwish; without x, HardSigmoid."""
    raised = _then(g, "Add", x[0], g.constant(3.0))
    clipped = _then(g, "Clip", raised, g.constant(0.0), g.constant(6.0))
    if s["gate"]:
        clipped = _then(g, "Mul", x[0], clipped)
    return _then(g, "Div", clipped, g.constant(6.0))


def clip(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """Clip between two bounds."""
    return _then(g, "Clip", x[0], g.constant(s["low"]), g.constant(s["high"]))


def prelu(g: Builder, x: Sequence[Value], _s: Settings) -> Value:
    """PRelu with a slope a channel."""
    shape = (x[0].shape[1], *[1] * (len(x[0].shape) - 2))
    return _then(g, "PRelu", x[0], g.constant(g.rng.random(shape) * 0.4))


def leaky(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """LeakyRelu."""
    return _then(g, "LeakyRelu", x[0], alpha=s["alpha"])


def _positive(g: Builder, x: Value, least: float) -> Value:
    return _then(g, "Add", _then(g, "Abs", x), g.constant(least))


def of_positive(op_type: str, g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """Sqrt, Log or Reciprocal of |x| + c."""
    return _then(g, op_type, _positive(g, x[0], s["c"]))


def power(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """A small whole power, or x * x."""
    if s["exponent"] == "self":
        return _then(g, "Mul", x[0], x[0])
    return _then(g, "Pow", x[0], g.constant(s["exponent"]))


def _broadcast(rng: Rng, _shape: Shape) -> dict[str, Any]:
    return {
        "of": pick(rng, ("number", "last", "channel", "all", "row")),
        "first": chance(rng, 0.3),
        "scale": pick(rng, (0.1, 1.0, 1.0, 3.0)),
    }


def with_constant(op_type: str, g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """Add, Sub, Mul or Div with a constant on either side."""
    shape = x[0].shape
    dims: tuple[int, ...] = {
        "number": (),
        "last": shape[-1:],
        "channel": along((1,) * len(shape), min(1, len(shape) - 1), shape[min(1, len(shape) - 1)]),
        "all": (1, *shape[1:]),
        "row": along((1,) * len(shape), -2, shape[-2]) if len(shape) > 1 else (1,),
    }[s["of"]]
    values = g.rng.standard_normal(dims) * s["scale"]
    if op_type == "Div":
        values = np.sign(values) * (np.abs(values) + 0.5)
    constant = g.constant(values)
    if not s["first"]:
        return _then(g, op_type, x[0], constant)
    below = _positive(g, x[0], 0.5) if op_type == "Div" else x[0]
    return g.apply(op_type, [constant, below], shape)


def binary(op_type: str, g: Builder, x: Sequence[Value], _s: Settings) -> Value:
    """Add, Sub, Mul, Max or Min of two computed tensors; Div by one that is far from zero."""
    a, b = x
    try:
        shape = np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise ImpossibleError("shapes") from None
    if op_type == "Div":
        b = _positive(g, b, 0.5)
    return g.apply(op_type, [a, b], shape)


def residual(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """X and a function of x, put together."""
    return _then(g, s["with"], x[0], _then(g, s["function"], x[0]))


def _draw_residual(rng: Rng, _shape: Shape) -> Settings:
    functions = ("Relu", "Sigmoid", "Tanh", "Softplus", "HardSigmoid", "Neg", "Abs", "Exp")
    return {"with": pick(rng, ("Add", "Mul", "Sub", "Mul")), "function": pick(rng, functions)}


def glu(g: Builder, x: Sequence[Value], s: Settings) -> Value:
    """Half of the channels gated by the others."""
    axis = s["axis"]
    length = x[0].shape[axis]
    if length < 2 or length % 2:
        raise ImpossibleError("odd")
    half = along(x[0].shape, axis, length // 2)
    a, b = g.several("Split", [x[0]], [half, half], axis=axis, num_outputs=2)
    gate = _then(g, s["gate"], b)
    return _then(g, "Mul", a, _then(g, "Mul", b, gate) if s["swish"] else gate)


def _draw_glu(rng: Rng, shape: Shape) -> Settings:
    gate = pick(rng, ("Sigmoid", "Sigmoid", "Tanh", "Relu"))
    return {"axis": pick(rng, (1 - len(shape), -1)), "gate": gate, "swish": chance(rng, 0.3)}


def _of_c(rng: Rng, _shape: Shape) -> Settings:
    return {"c": pick(rng, (0.05, 0.5, 1.0))}


def _of_k(rng: Rng, _shape: Shape) -> Settings:
    return {"k": pick(rng, (1, 1, 1, 1.702, 3.0))}


ELEMENTWISE = {
    **{name: unary(name) for name in ("Relu", "Sigmoid", "Tanh", "HardSwish", "Softplus")},
    **{name: unary(name) for name in ("Gelu", "Elu", "Selu", "Abs", "Neg", "HardSigmoid")},
    **{name: unary(name) for name in ("Exp", "Sin", "Cos", "Softsign", "Erf", "Celu")},
    "ThresholdedRelu": unary("ThresholdedRelu", alpha=0.0),
    "Relu6": Row(lambda _r, _s: {"low": 0.0, "high": 6.0}, clip),
    "Clip": Row(
        lambda r, _s: {"low": pick(r, (-1.0, -0.2, 0.1)), "high": pick(r, (0.5, 2.0))}, clip
    ),
    "SiLU": Row(_of_k, silu, weight=4),
    "Mish": Row(nothing, mish),
    "MishOp": unary("Mish"),
    "GeluByHand": Row(lambda r, _s: {"tanh": chance(r, 0.5)}, gelu_by_hand),
    "HardSwishByHand": Row(lambda r, _s: {"gate": chance(r, 0.5)}, relu6_gate),
    "PRelu": Row(nothing, prelu),
    "LeakyRelu": Row(lambda r, _s: {"alpha": pick(r, (0.01, 0.1, 0.3))}, leaky),
    "Sqrt": Row(_of_c, partial(of_positive, "Sqrt")),
    "Log": Row(_of_c, partial(of_positive, "Log")),
    "Reciprocal": Row(_of_c, partial(of_positive, "Reciprocal")),
    "Pow": Row(lambda r, _s: {"exponent": pick(r, (2.0, 3.0, "self"))}, power),
    **{
        f"{op}Constant": Row(_broadcast, partial(with_constant, op), weight=1.5)
        for op in ("Add", "Sub", "Mul", "Div")
    },
    **{
        op: Row(nothing, partial(binary, op), weight=2, operands=2)
        for op in ("Add", "Sub", "Mul", "Div")
    },
    **{op: Row(nothing, partial(binary, op), weight=0.5, operands=2) for op in ("Max", "Min")},
    "Residual": Row(_draw_residual, residual, weight=3),
    "Glu": Row(_draw_glu, glu, weight=1.5),
}
