"""Pools and resampling: operators with windows and without weights."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from snapq.training.library import Tensor, functional, torch
from snapq.training.operators.base import Array, Attributes, Operator, Unsupported
from snapq.training.operators.linear import window_padding

__all__ = ["POOLING"]


def _pool_padding(a: Attributes, x: Tensor, kernel: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """Padding before, after, and beyond that what `ceil_mode` adds, for each spatial axis."""
    rank = len(kernel)
    strides = a.integers("strides", (1,) * rank)
    dilations = a.integers("dilations", (1,) * rank)
    found = []
    for axis, (before, after) in enumerate(window_padding(a, x.shape[2:], kernel)):
        size = x.shape[2 + axis] + before + after
        reach = (kernel[axis] - 1) * dilations[axis] + 1
        extra = 0
        if a.integer("ceil_mode"):
            windows = math.ceil((size - reach) / strides[axis]) + 1
            if (windows - 1) * strides[axis] >= x.shape[2 + axis] + before:
                windows -= 1
            extra = max((windows - 1) * strides[axis] + reach - size, 0)
        found.append((before, after, extra))
    return found


def _pad(x: Tensor, pads: list[tuple[int, int, int]], value: float, *, beyond: bool) -> Tensor:
    flat = [
        end
        for before, after, extra in reversed(pads)
        for end in (before, after + (extra if beyond else 0))
    ]
    return functional.pad(x, flat, value=value) if any(flat) else x


def _max_pool(a: Attributes, x: Tensor) -> Tensor:
    if a.outputs > 1:
        raise Unsupported("a MaxPool that gives indices")
    kernel = a.integers("kernel_shape")
    rank = len(kernel)
    run = getattr(functional, f"max_pool{rank}d")
    padded = _pad(x, _pool_padding(a, x, kernel), -torch.inf, beyond=True)
    result: Tensor = run(
        padded,
        kernel,
        stride=a.integers("strides", (1,) * rank),
        dilation=a.integers("dilations", (1,) * rank),
    )
    return result


def _average_pool(a: Attributes, x: Tensor) -> Tensor:
    kernel = a.integers("kernel_shape")
    rank = len(kernel)
    if any(step != 1 for step in a.integers("dilations", (1,) * rank)):
        raise Unsupported("an AveragePool with dilations")
    run = getattr(functional, f"avg_pool{rank}d")
    strides = a.integers("strides", (1,) * rank)
    pads = _pool_padding(a, x, kernel)
    padded = _pad(x, pads, 0.0, beyond=True)
    result: Tensor = run(padded, kernel, stride=strides)
    if not any(end for pad in pads for end in pad):
        return result
    counted = torch.ones((1, 1, *x.shape[2:]), device=x.device)
    if a.integer("count_include_pad"):
        counted = _pad(counted, pads, 1.0, beyond=False)
        counted = _pad(counted, [(0, 0, extra) for _, _, extra in pads], 0.0, beyond=True)
    else:
        counted = _pad(counted, pads, 0.0, beyond=True)
    share: Tensor = run(counted, kernel, stride=strides)
    return result / share


def _global(reduce: Callable[[Attributes, Tensor, list[int]], Tensor]) -> Operator:
    return Operator(lambda a, x: reduce(a, x, list(range(2, x.ndim))))


def _norm(a: Attributes, x: Tensor, axes: list[int]) -> Tensor:
    return x.abs().pow(p := a.integer("p", 2)).sum(axes, keepdim=True).pow(1 / p)


def _upsample(a: Attributes, x: Tensor, scales: Array) -> Tensor:
    how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return _resize(Attributes({**a.values, **how}, a.outputs), x, None, scales)


def _resize(
    a: Attributes,
    x: Tensor,
    roi: Array | None = None,
    scales: Array | None = None,
    sizes: Array | None = None,
) -> Tensor:
    mode = a.text("mode", "nearest")
    axes = a.integers("axes", range(x.ndim))
    if a.integer("antialias") or a.text("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise Unsupported("a Resize with antialias or keep_aspect_ratio_policy")
    for position, axis in enumerate(axes):
        size = x.shape[axis]
        if sizes is not None and sizes.size:
            outputs = int(sizes[position])
            factor = outputs / size
        elif scales is not None and scales.size:
            factor = float(scales[position])
            outputs = math.floor(size * factor)
        else:
            raise Unsupported("a Resize without constant scales or sizes")
        if factor == 1.0:
            continue
        where = _coordinates(a, size, outputs, factor)
        if mode == "nearest":
            chosen = np.clip(_nearest(where, a), 0, size - 1)
            x = x.index_select(axis, torch.as_tensor(chosen, device=x.device))
            continue
        weights = _weights(where, size, mode, a)
        matrix = torch.as_tensor(weights, dtype=x.dtype, device=x.device)
        x = torch.movedim(torch.movedim(x, axis, -1) @ matrix, -1, axis)
    return x


def _coordinates(a: Attributes, size: int, outputs: int, factor: float) -> npt.NDArray[np.float64]:
    """Where each output element lies in the input, by `coordinate_transformation_mode`."""
    mode = a.text("coordinate_transformation_mode", "half_pixel")
    index = np.arange(outputs, dtype=np.float64)
    if mode == "asymmetric":
        return index / factor
    if mode == "align_corners":
        return index * (size - 1) / (outputs - 1) if outputs > 1 else np.zeros(1)
    if mode == "pytorch_half_pixel" and outputs == 1:
        return np.zeros(1)
    if mode == "half_pixel_symmetric":
        adjusted = outputs / (factor * size)
        return size / 2 * (1 - adjusted) + (index + 0.5) / factor - 0.5
    if mode in ("half_pixel", "pytorch_half_pixel"):
        return (index + 0.5) / factor - 0.5
    raise Unsupported(f"a Resize with {mode}")


def _nearest(where: npt.NDArray[np.float64], a: Attributes) -> npt.NDArray[np.int64]:
    rounded = {
        "round_prefer_floor": np.ceil(where - 0.5),
        "round_prefer_ceil": np.floor(where + 0.5),
        "floor": np.floor(where),
        "ceil": np.ceil(where),
    }[a.text("nearest_mode", "round_prefer_floor")]
    return rounded.astype(np.int64)


def _weights(
    where: npt.NDArray[np.float64], size: int, mode: str, a: Attributes
) -> npt.NDArray[np.float64]:
    """`[input, output]`: how much each input element counts for each output element."""
    matrix = np.zeros((size, len(where)))
    base = np.floor(where).astype(np.int64)
    share = where - base
    columns = np.arange(len(where))
    if mode == "linear":
        taps = {0: 1 - share, 1: share}
    else:
        taps = {
            tap: _cubic(np.abs(share - tap), a.real("cubic_coeff_a", -0.75)) for tap in range(-1, 3)
        }
    outside = a.integer("exclude_outside")
    for tap, weight in taps.items():
        index = base + tap
        valid = (index >= 0) & (index < size) if outside else np.ones(len(where), bool)
        np.add.at(matrix, (np.clip(index, 0, size - 1)[valid], columns[valid]), weight[valid])
    return matrix / matrix.sum(axis=0) if outside else matrix


def _cubic(distance: npt.NDArray[np.float64], a: float) -> npt.NDArray[np.float64]:
    """Keys' cubic convolution kernel (1981)."""
    near = (a + 2) * distance**3 - (a + 3) * distance**2 + 1
    far = a * distance**3 - 5 * a * distance**2 + 8 * a * distance - 4 * a
    result: npt.NDArray[np.float64] = np.where(distance <= 1, near, np.where(distance < 2, far, 0))
    return result


def _grid_sample(a: Attributes, x: Tensor, grid: Tensor) -> Tensor:
    modes = {"linear": "bilinear", "cubic": "bicubic"}
    mode = a.text("mode", "linear")
    return functional.grid_sample(
        x,
        grid,
        mode=modes.get(mode, mode),
        padding_mode=a.text("padding_mode", "zeros"),
        align_corners=bool(a.integer("align_corners")),
    )


POOLING: dict[str, Operator] = {
    "MaxPool": Operator(_max_pool),
    "AveragePool": Operator(_average_pool),
    "GlobalAveragePool": _global(lambda a, x, axes: x.mean(axes, keepdim=True)),
    "GlobalMaxPool": _global(lambda a, x, axes: torch.amax(x, axes, keepdim=True)),
    "GlobalLpPool": _global(_norm),
    "Resize": Operator(_resize, static=(1, 2, 3)),
    "Upsample": Operator(_upsample, static=(1,)),
    "GridSample": Operator(_grid_sample),
}
