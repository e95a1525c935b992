"""Reductions, softmax and searches along axes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from snapq.training.library import Tensor, functional, torch
from snapq.training.operators.base import Array, Attributes, Operator, Unsupported, axis_list

__all__ = ["REDUCTION"]


def _reduction(compute: Callable[[Tensor, list[int], bool], Tensor]) -> Operator:
    """A Reduce operator: axes are an attribute or, since opset 13 or 18, the second input."""

    def run(a: Attributes, x: Tensor, axes: Array | None = None) -> Tensor:
        chosen = axis_list(axes) or a.integers("axes")
        if not chosen:
            if a.integer("noop_with_empty_axes"):
                return x
            chosen = tuple(range(x.ndim))
        return compute(x, [axis % x.ndim for axis in chosen], bool(a.integer("keepdims", 1)))

    return Operator(run, static=(1,))


def _product(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    for axis in sorted(axes, reverse=True):
        x = torch.prod(x, axis, keepdim=keep)
    return x


def _arg(find: Callable[..., Tensor]) -> Operator:
    def run(a: Attributes, x: Tensor) -> Tensor:
        axis = a.integer("axis") % x.ndim
        keep = bool(a.integer("keepdims", 1))
        if not a.integer("select_last_index"):
            return find(x, axis, keepdim=keep)
        return x.shape[axis] - 1 - find(torch.flip(x, [axis]), axis, keepdim=keep)

    return Operator(run)


def _cumulative_sum(a: Attributes, x: Tensor, axis: Array) -> Tensor:
    along = axis_list(axis)[0]
    if a.integer("reverse"):
        x = torch.flip(x, [along])
    total = torch.cumsum(x, along)
    if a.integer("exclusive"):
        total = total - x
    return torch.flip(total, [along]) if a.integer("reverse") else total


def _top_k(a: Attributes, x: Tensor, count: Array) -> tuple[Tensor, ...]:
    found = torch.topk(
        x, axis_list(count)[0], a.integer("axis", -1), largest=bool(a.integer("largest", 1))
    )
    return (found.values, found.indices)


def _one_hot(a: Attributes, indices: Tensor, depth: Array, values: Array) -> Tensor:
    if a.integer("axis", -1) != -1:
        raise Unsupported("a OneHot along an inner axis")
    off, on = (float(value) for value in np.asarray(values).reshape(-1))
    hot = functional.one_hot(indices.long() % axis_list(depth)[0], axis_list(depth)[0])
    return hot.float() * (on - off) + off


def _lp_normalization(a: Attributes, x: Tensor) -> Tensor:
    norm = torch.linalg.vector_norm(x, a.integer("p", 2), a.integer("axis", -1), keepdim=True)
    result: Tensor = x / norm
    return result


def _hardmax(a: Attributes, x: Tensor) -> Tensor:
    axis = a.integer("axis", -1)
    best = torch.argmax(x, axis, keepdim=True)
    return torch.scatter(torch.zeros_like(x), axis, best, torch.ones_like(best, dtype=x.dtype))


REDUCTION: dict[str, Operator] = {
    "ReduceMean": _reduction(lambda x, axes, keep: x.mean(axes, keepdim=keep)),
    "ReduceSum": _reduction(lambda x, axes, keep: x.sum(axes, keepdim=keep)),
    "ReduceMax": _reduction(lambda x, axes, keep: torch.amax(x, axes, keepdim=keep)),
    "ReduceMin": _reduction(lambda x, axes, keep: torch.amin(x, axes, keepdim=keep)),
    "ReduceProd": _reduction(_product),
    "ReduceL1": _reduction(lambda x, axes, keep: x.abs().sum(axes, keepdim=keep)),
    "ReduceL2": _reduction(lambda x, axes, keep: torch.linalg.vector_norm(x, 2, axes, keep)),
    "ReduceSumSquare": _reduction(lambda x, axes, keep: (x * x).sum(axes, keepdim=keep)),
    "ReduceLogSum": _reduction(lambda x, axes, keep: x.sum(axes, keepdim=keep).log()),
    "ReduceLogSumExp": _reduction(lambda x, axes, keep: torch.logsumexp(x, axes, keep)),
    "Softmax": Operator(lambda a, x: torch.softmax(x, a.integer("axis", -1))),
    "LogSoftmax": Operator(lambda a, x: torch.log_softmax(x, a.integer("axis", -1))),
    "Hardmax": Operator(_hardmax),
    "LpNormalization": Operator(_lp_normalization),
    "CumSum": Operator(_cumulative_sum, static=(1,)),
    "ArgMax": _arg(lambda x, axis, keepdim: torch.argmax(x, axis, keepdim=keepdim)),
    "ArgMin": _arg(lambda x, axis, keepdim: torch.argmin(x, axis, keepdim=keepdim)),
    "TopK": Operator(_top_k, static=(1,)),
    "OneHot": Operator(_one_hot, static=(1, 2)),
}
