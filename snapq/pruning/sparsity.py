"""Masks of single weights: zeros compress well. The NPU computes them like any other number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.graph.edit import constant, input_at, rank
from snapq.operators import Trait, spec, weight_axes
from snapq.pruning.rules.base import Mask
from snapq.pruning.sites import weight_of

Weight = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Masked:
    """What was set to zero.

    Attributes:
        layers: how many layers.
        zeros: zeros in their weights afterwards.
        weights: all their weights.
    """

    layers: int
    zeros: int
    weights: int


def smallest(weight: Weight, share: float) -> Mask:
    """Which weights stay when this share, the smallest by magnitude, goes; of equal ones the last.

    Args:
        weight: any shape.
        share: of all elements, 0 to 1.
    """
    flat = np.abs(weight).reshape(-1)
    gone = np.argsort(flat, kind="stable")[: round(share * flat.size)]
    stays = np.ones(flat.size, bool)
    stays[gone] = False
    return stays.reshape(weight.shape)


def n_of_m(weight: Weight, n: int, m: int, axis: int) -> Mask:
    """Which weights stay when of each `m` consecutive along an axis the `n` largest do.

    Mishra et al., "Accelerating Sparse Deep Neural Networks" (2021). A rest of fewer than `m` stays
    whole. `[8, 64]`, axis 1, 2 of 4 -> 16 blocks a row.
    """
    moved = np.moveaxis(np.abs(weight), axis, -1)
    whole = moved.shape[-1] // m * m
    stays = np.ones(moved.shape, bool)
    blocks = moved[..., :whole].reshape(*moved.shape[:-1], -1, m)
    order = np.argsort(-blocks, axis=-1, kind="stable")
    kept = np.zeros(blocks.shape, bool)
    np.put_along_axis(kept, order[..., :n], True, axis=-1)
    stays[..., :whole] = kept.reshape(*moved.shape[:-1], whole)
    return np.moveaxis(stays, -1, axis)


def mask(
    model: ir.Model, *, share: float | None = None, pattern: tuple[int, int] | None = None
) -> Masked:
    """Sets weights of Conv, ConvTranspose, Gemm and MatMul to zero, in place.

    Depthwise layers have few weights and stay. Integers are set to their zero point.

    Args:
        model: a float or Q/DQ model.
        share: the share of each layer's weights that goes, the smallest ones.
        pattern: `(n, m)`: of each `m` consecutive input channels `n` stay.
    """
    layers = zeros = total = 0
    done: set[ir.Value] = set()
    for node in model.graph:
        grouped = node.attributes.get_int("group", 1) > 1
        if grouped or not spec(node.op_type).has(Trait.SUMS_CHANNELS):
            continue
        weight = weight_of(node, 1)
        held, zero = _held(node)
        if weight is None or held is None or held in done:
            continue
        done.add(held)
        _, axis = weight_axes(node, weight.ndim) or (0, 0)
        stays = np.ones(weight.shape, bool)
        if share is not None:
            stays &= smallest(weight, share)
        if pattern is not None:
            stays &= n_of_m(weight, *pattern, axis)
        _write(held, stays, zero)
        layers += 1
        zeros += int((~stays).sum())
        total += stays.size
    return Masked(layers, zeros, total)


def _held(node: ir.Node) -> tuple[ir.Value | None, np.ndarray]:
    """What holds the weight's numbers, and which number is zero."""
    value = node.inputs[1]
    maker = value.producer() if value is not None else None
    if maker is None:
        return value, np.zeros((), np.int8)
    zero = constant(input_at(maker, 2))
    axis = maker.attributes.get_int("axis", 1)
    if zero is None or zero.ndim == 0:
        return maker.inputs[0], np.zeros((), np.int8) if zero is None else zero
    dims = rank(maker.inputs[0]) or 0
    shape = [-1 if other == axis % dims else 1 for other in range(dims)]
    return maker.inputs[0], zero.reshape(shape)


def _write(held: ir.Value, stays: Mask, zero: np.ndarray) -> None:
    tensor = held.const_value
    assert tensor is not None
    array = tensor.numpy()
    new = np.where(stays, array, zero.astype(array.dtype))
    held.const_value = ir.tensor(new, dtype=tensor.dtype, name=held.name)
