"""Adam whose steps are relative to what they change.

After batch normalization is folded, the weights of one layer are a hundred times those of another.
A step of Adam (Kingma and Ba, 2015, arXiv 1412.6980) is as large for all; here it is a share of the
root mean square of the weights of the same output channel. Steps of one sign add up over the inputs
of a layer, so the share falls with the square root of their number (as in muP: Yang et al., 2022,
arXiv 2203.03466). The gain of each output channel, which batch normalization would train, learns
beside its weights, ten times faster: it is one number, and a few samples tell it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from snapq.training.library import Tensor, torch

__all__ = ["RelativeAdam", "cosine"]

_USUAL_INPUTS = 64
"""Inputs of a layer for which a step is the plain share."""
_GAIN = 10.0
"""How much faster than single weights the gain of a whole channel learns."""
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
        moments = [target.detach() for target, _ in self._targets]
        moments += [_gain(target.detach(), target.detach()) for target, _ in self._targets]
        self._first = [torch.zeros_like(moment) for moment in moments]
        self._second = [torch.zeros_like(moment) for moment in moments]
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
        count = len(self._targets)
        with torch.no_grad():
            for index, (target, unit) in enumerate(self._targets):
                if target.grad is None:
                    continue
                change = rate * unit * self._direction(index, target.grad)
                if target.ndim > 1:
                    gain = self._direction(count + index, _gain(target, target.grad))
                    target.mul_(torch.exp(-_GAIN * rate * gain))
                target.sub_(change)

    def _direction(self, index: int, gradient: Tensor) -> Tensor:
        """Adam's direction, elements of about -1 to 1."""
        slow, fast = 0.9, 0.999
        first, second = self._first[index], self._second[index]
        first.lerp_(gradient, 1 - slow)
        second.lerp_(gradient.square(), 1 - fast)
        correction = math.sqrt(1 - fast**self._count) / (1 - slow**self._count)
        direction: Tensor = correction * first / (second.sqrt() + 1e-12)
        return direction

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


def _gain(weight: Tensor, gradient: Tensor) -> Tensor:
    """Gradient for the logarithm of each output channel's gain, broadcast over `weight`.

    Of a matrix, inputs and outputs are in either order: its gain is one number.
    """
    axes = list(range(weight.ndim)) if weight.ndim < 3 else list(range(1, weight.ndim))
    product = weight * gradient
    return product.sum(axes, keepdim=True) if axes else product


def _unit(weight: Tensor) -> Tensor:
    """What a step is a share of, broadcast over `weight`."""
    whole = weight.square().mean().sqrt()
    if weight.ndim < 2:
        return torch.ones_like(weight) * whole.clamp(min=_SMALLEST_BIAS)
    if weight.ndim == 2:  # inputs and outputs are in either order
        inputs = math.sqrt(weight.numel())
        size = torch.ones_like(weight) * whole
    else:
        inputs = weight[0].numel()
        axes = list(range(1, weight.ndim))
        size = weight.square().mean(axes, keepdim=True).sqrt().clamp(min=0.1 * float(whole))
    return size * min(math.sqrt(_USUAL_INPUTS / inputs), 1.0)
