"""Second-order rounding of large matrices, block by block: the rule of `rounding`, by BLAS.

`rounding.second_order` lets each input's error run through all inputs behind it at once, which
takes minutes for matrices of a million weights. Here it runs through its block, and what a block
leaves goes to the inputs behind in one product.
Source: Frantar et al., "GPTQ", arXiv:2210.17323, section 3.3, step 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Compensation", "refitted", "second_moment_scales"]

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
_BLOCK = 64
"""Inputs whose errors are spread one by one."""
_TOGETHER = 4096
"""Outputs that are worked on at once."""
_SHARES = np.linspace(1.0, 0.5, 21, dtype=np.float32)


@dataclass(frozen=True)
class Compensation:
    """What the inputs to come take over of each input's error.

    Attributes:
        order: of the inputs, `[K]`, those of large moment first.
        upper: Cholesky factor of the moment's inverse, in that order, `[K, K]`.
    """

    order: npt.NDArray[np.int64]
    upper: Floats

    @classmethod
    def of(cls, moment: Doubles) -> Compensation:
        """By a damped second moment of the inputs, `[K, K]`."""
        order = np.argsort(-moment.diagonal(), kind="stable")
        inverse = np.linalg.inv(moment[np.ix_(order, order)])
        upper = np.linalg.cholesky((inverse + inverse.T) / 2).T
        return cls(order, np.ascontiguousarray(upper, np.float32))

    def rounded(self, weight: Floats, scale: Floats, limits: tuple[int, int]) -> Floats:
        """Integers of a weight `[K, O]` as float32, with scales `[O]`, within the limits."""
        integers = np.empty_like(weight)
        for start in range(0, weight.shape[1], _TOGETHER):
            part = slice(start, start + _TOGETHER)
            integers[:, part] = self._part(weight[:, part], scale[part], limits)
        return integers

    def _part(self, weight: Floats, scale: Floats, limits: tuple[int, int]) -> Floats:
        left = weight[self.order]
        found = np.empty_like(left)
        for start in range(0, len(left), _BLOCK):
            stop = min(start + _BLOCK, len(left))
            missed = np.empty((stop - start, left.shape[1]), np.float32)
            for k in range(start, stop):
                found[k] = np.clip(np.rint(left[k] / scale), *limits)
                missed[k - start] = (left[k] - found[k] * scale) / self.upper[k, k]
                left[k + 1 : stop] -= self.upper[k, k + 1 : stop, None] * missed[k - start]
            left[stop:] -= self.upper[start:stop, stop:].T @ missed
        integers = np.empty_like(found)
        integers[self.order] = found
        return integers


def second_moment_scales(weight: Floats, moment: Doubles, limits: tuple[int, int]) -> Floats:
    """For each output of a weight `[K, O]` the scale, `[O]`, at which plain rounding errs least.

    The moment's diagonal weighs the errors.
    """
    importance = moment.diagonal().astype(np.float32)
    largest = np.maximum(np.abs(weight).max(axis=0), np.float32(1e-12)) / limits[1]
    best, least = largest, np.full(len(largest), np.inf, np.float32)
    for share in _SHARES:
        tried = largest * share
        off = np.clip(np.rint(weight / tried), *limits) * tried - weight
        missed = importance @ np.square(off)
        best, least = np.where(missed < least, tried, best), np.minimum(missed, least)
    return np.asarray(best, np.float32)


def refitted(weight: Floats, moment: Doubles, integers: Floats, scale: Floats) -> Floats:
    """The scales, `[O]`, at which given integers err least; at most half or twice those before."""
    seen = moment.astype(np.float32) @ integers
    power = (integers * seen).sum(axis=0)
    best = (weight * seen).sum(axis=0) / np.maximum(power, np.float32(1e-30))
    near = (best > scale / 2) & (best < scale * 2)
    return np.asarray(np.where(near, best, scale), np.float32)
