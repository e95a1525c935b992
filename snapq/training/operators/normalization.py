"""Normalizations. BatchNormalization has its inference form: its statistics are not trained."""

from __future__ import annotations

from snapq.training.library import Tensor, functional, torch
from snapq.training.operators.base import Attributes, Operator

__all__ = ["NORMALIZATION"]


def _along(values: Tensor, rank: int) -> Tensor:
    """`[C]` shaped so that it broadcasts over axis 1 of a tensor of that rank."""
    return values.reshape([1, -1] + [1] * (rank - 2))


def _normal(a: Attributes, x: Tensor, axes: list[int]) -> Tensor:
    """Less its mean and over its deviation, both over some axes."""
    centred = x - x.mean(axes, keepdim=True)
    variance = (centred * centred).mean(axes, keepdim=True)
    return centred * torch.rsqrt(variance + a.real("epsilon", 1e-5))


def _batch(
    a: Attributes, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor
) -> Tensor:
    factor = scale * torch.rsqrt(variance + a.real("epsilon", 1e-5))
    return x * _along(factor, x.ndim) + _along(bias - mean * factor, x.ndim)


def _instance(a: Attributes, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    normal = _normal(a, x, list(range(2, x.ndim)))
    return normal * _along(scale, x.ndim) + _along(bias, x.ndim)


def _group(a: Attributes, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    groups = a.integer("num_groups")
    normal = _normal(a, x.reshape(x.shape[0], groups, -1), [2]).reshape(x.shape)
    if scale.shape[0] == groups and groups != x.shape[1]:
        scale = scale.repeat_interleave(x.shape[1] // groups)
        bias = bias.repeat_interleave(x.shape[1] // groups)
    return normal * _along(scale, x.ndim) + _along(bias, x.ndim)


def _layer(a: Attributes, x: Tensor, scale: Tensor, bias: Tensor | None = None) -> Tensor:
    normal = _normal(a, x, list(range(a.integer("axis", -1) % x.ndim, x.ndim))) * scale
    return normal if bias is None else normal + bias


def _rms(a: Attributes, x: Tensor, scale: Tensor) -> Tensor:
    axes = list(range(a.integer("axis", -1) % x.ndim, x.ndim))
    return x * torch.rsqrt((x * x).mean(axes, keepdim=True) + a.real("epsilon", 1e-5)) * scale


def _local_response(a: Attributes, x: Tensor) -> Tensor:
    return functional.local_response_norm(
        x, a.integer("size"), a.real("alpha", 1e-4), a.real("beta", 0.75), a.real("bias", 1.0)
    )


NORMALIZATION: dict[str, Operator] = {
    "BatchNormalization": Operator(_batch, weights=(1, 2)),
    "InstanceNormalization": Operator(_instance, weights=(1, 2)),
    "GroupNormalization": Operator(_group, weights=(1, 2)),
    "LayerNormalization": Operator(_layer, weights=(1, 2)),
    "RMSNormalization": Operator(_rms, weights=(1,)),
    "LRN": Operator(_local_response),
    "Dropout": Operator(lambda a, x, *rest: x),
}
