"""Sums, largest values and their places, over some axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..registry import operation
from ..step import Array, Step

_REDUCTIONS: dict[str, Any] = {
    "ReduceMax": np.max,
    "ReduceMean": np.mean,
    "ReduceMin": np.min,
    "ReduceProd": np.prod,
    "ReduceSum": np.sum,
}


def _over(step: Step, x: Array, axes: Array | None) -> tuple[tuple[int, ...] | None, bool]:
    """Which axes go, and whether they stay with length 1; None where nothing is reduced."""
    keep = bool(step.attributes.get("keepdims", 1))
    if axes is None or not axes.size:
        if step.attributes.get("noop_with_empty_axes", 0):
            return None, keep
        return tuple(range(x.ndim)), keep
    return tuple(int(axis) for axis in axes.reshape(-1)), keep


@operation(*_REDUCTIONS)
def reduce_axes(step: Step, x: Array, axes: Array | None = None) -> Array:
    """Reduces by a function of NumPy."""
    over, keep = _over(step, x, axes)
    if over is None:
        return x
    return np.asarray(_REDUCTIONS[step.op](x, axis=over, keepdims=keep), x.dtype)


@operation("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare")
def reduce_norms(step: Step, x: Array, axes: Array | None = None) -> Array:
    """Reduces by a norm or by the logarithm of a sum."""
    over, keep = _over(step, x, axes)
    if over is None:
        over = ()
    if step.op == "ReduceLogSumExp":
        top = np.max(x, axis=over, keepdims=True)
        top = np.where(np.isfinite(top), top, x.dtype.type(0))
        total = np.log(np.sum(np.exp(x - top), axis=over, keepdims=True)) + top
        return np.asarray(total if keep else np.squeeze(total, over), x.dtype)
    seen = {"ReduceL1": np.abs(x), "ReduceLogSum": x}.get(step.op, x * x)
    total = np.sum(seen, axis=over, keepdims=keep)
    after = {"ReduceL2": np.sqrt, "ReduceLogSum": np.log}.get(step.op, np.asarray)
    return np.asarray(after(total), x.dtype)


@operation("ArgMax", "ArgMin")
def arg_best(step: Step, x: Array) -> Array:
    """Gives the index of the largest (smallest) value along an axis, the first of equal ones.

    A NaN is never found larger, unless it comes first: then nothing is larger than it.
    """
    axis = int(step.attributes.get("axis", 0))
    if step.op == "ArgMin":
        x = -x if x.dtype.kind == "f" else -x.astype(np.int64)
    if x.dtype.kind == "f":
        x = np.where(np.isnan(x), -np.inf, x)
    if step.attributes.get("select_last_index", 0):
        found = x.shape[axis] - 1 - np.argmax(np.flip(x, axis), axis)
    else:
        found = np.argmax(x, axis)
    found = found.astype(np.int64)
    return np.expand_dims(found, axis) if step.attributes.get("keepdims", 1) else found


@operation("Softmax", "LogSoftmax")
def softmax(step: Step, x: Array) -> Array:
    """Computes exp(x) / sum(exp(x)) along an axis, or its logarithm."""
    axis = int(step.attributes.get("axis", -1))
    shifted = x - np.max(x, axis=axis, keepdims=True)
    powers = np.exp(shifted)
    total = np.sum(powers, axis=axis, keepdims=True)
    return np.asarray(powers / total if step.op == "Softmax" else shifted - np.log(total))


@operation("LpNormalization")
def normalize(step: Step, x: Array) -> Array:
    """Divides by the sum of sizes (`p` 1) or the length (`p` 2) along an axis; 0 stays 0."""
    axis = int(step.attributes.get("axis", -1))
    if int(step.attributes.get("p", 2)) == 1:
        size = np.sum(np.abs(x), axis=axis, keepdims=True)
    else:
        size = np.sqrt(np.sum(x * x, axis=axis, keepdims=True))
    return np.asarray(np.where(size == 0, x.dtype.type(0), x / size), x.dtype)


@operation("CumSum")
def cumulative_sum(step: Step, x: Array, axis: Array) -> Array:
    """Sums up along an axis, without the value itself where `exclusive`, from the end where so."""
    along = int(axis.reshape(-1)[0])
    if step.attributes.get("reverse", 0):
        x = np.flip(x, along)
    total = np.cumsum(x, axis=along, dtype=x.dtype)
    if step.attributes.get("exclusive", 0):
        total = total - x
    return np.flip(total, along) if step.attributes.get("reverse", 0) else total


@operation("TopK")
def top_k(step: Step, x: Array, k: Array) -> tuple[Array, Array]:
    """Gives the k largest (smallest) values along an axis in order, and their indices."""
    axis = int(step.attributes.get("axis", -1))
    key = -x if step.attributes.get("largest", 1) else x
    order = np.argsort(key, axis=axis, kind="stable").astype(np.int64)
    order = np.take(order, np.arange(int(k.reshape(-1)[0])), axis=axis)
    return np.take_along_axis(x, order, axis), order
