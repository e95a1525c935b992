"""Adam whose steps are relative to what they change.

After batch normalization is folded, the weights of one layer are a hundred times those of another.
A step of Adam (Kingma and Ba, 2015, arXiv 1412.6980) is as large for all; here it is a share of the
root mean square of the weights of the same output channel.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from snapq.training.library import Tensor, torch

__all__ = ["RelativeAdam", "cosine"]

_SMALLEST_BIAS = 1e-2
"""Unit of biases that are all zero: they have to be able to leave it."""


class RelativeAdam:
    """Updates weights relative to their channel, and logarithms of scales absolutely.

    Args:
        weights: weights and biases; of rank 3 and more, axis 0 is that of output channels.
        steps: logarithms of scales.
    """

    def __init__(self, weights: Iterable[Tensor], steps: Iterable[Tensor]) -> None:
        self._targets = [(weight, _unit(weight.detach())) for weight in weights]
        self._targets += [(step, torch.ones_like(step.detach())) for step in steps]
        self._first = [torch.zeros_like(target.detach()) for target, _ in self._targets]
        self._second = [torch.zeros_like(target.detach()) for target, _ in self._targets]
        self._count = 0

    def forget(self) -> None:
        """Forgets the gradients of earlier steps."""
        for moment in (*self._first, *self._second):
            moment.zero_()
        self._count = 0

    def zero_grad(self) -> None:
        """Forgets the gradients."""
        for target, _ in self._targets:
            target.grad = None

    def step(self, rate: float) -> None:
        """One update of everything that has a gradient."""
        self._count += 1
        slow, fast = 0.9, 0.999
        correction = math.sqrt(1 - fast**self._count) / (1 - slow**self._count)
        with torch.no_grad():
            for (target, unit), first, second in zip(
                self._targets, self._first, self._second, strict=True
            ):
                if target.grad is None:
                    continue
                first.lerp_(target.grad, 1 - slow)
                second.lerp_(target.grad.square(), 1 - fast)
                target.sub_(rate * correction * unit * first / (second.sqrt() + 1e-12))

    def state(self) -> dict[str, Any]:
        """What a checkpoint needs."""
        return {"first": self._first, "second": self._second, "count": self._count}

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of `state`."""
        for own, kept in ((self._first, state["first"]), (self._second, state["second"])):
            for target, value in zip(own, kept, strict=True):
                target.copy_(value)
        self._count = int(state["count"])


def cosine(step: int, steps: int) -> float:
    """Share of the highest rate at a step: up over the first 20th, then down along a cosine."""
    warm = max(steps // 20, 1)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(steps - warm, 1)))


def _unit(weight: Tensor) -> Tensor:
    """Root mean square by channel, broadcast over `weight`."""
    whole = weight.square().mean().sqrt()
    if weight.ndim < 2:
        whole = whole.clamp(min=_SMALLEST_BIAS)
    if weight.ndim <= 2:
        return torch.ones_like(weight) * whole
    axes = list(range(1, weight.ndim))
    return weight.square().mean(axes, keepdim=True).sqrt().clamp(min=0.1 * float(whole))
