"""Operators that move values: shapes, slices, gathers, concatenation, padding."""

from __future__ import annotations

import numpy as np

from snapq.training.library import Tensor, functional, torch
from snapq.training.operators.base import Array, Attributes, Operator, Unsupported, axis_list

__all__ = ["MOVEMENT"]


def _reshape(a: Attributes, x: Tensor, shape: Array) -> Tensor:
    wanted = list(axis_list(shape))
    if not a.integer("allowzero"):
        wanted = [x.shape[i] if size == 0 else size for i, size in enumerate(wanted)]
    return x.reshape(wanted)


def _flatten(a: Attributes, x: Tensor) -> Tensor:
    axis = a.integer("axis", 1)
    axis = axis + x.ndim if axis < 0 else axis
    return x.reshape(int(np.prod(x.shape[:axis], dtype=np.int64)), -1)


def _squeeze(a: Attributes, x: Tensor, axes: Array | None = None) -> Tensor:
    chosen = axis_list(axes) or a.integers("axes")
    if not chosen:
        chosen = tuple(i for i, size in enumerate(x.shape) if size == 1)
    dropped = {axis % x.ndim for axis in chosen}
    return x.reshape([size for i, size in enumerate(x.shape) if i not in dropped])


def _unsqueeze(a: Attributes, x: Tensor, axes: Array | None = None) -> Tensor:
    chosen = axis_list(axes) or a.integers("axes")
    rank = x.ndim + len(chosen)
    for axis in sorted(axis % rank for axis in chosen):
        x = x.unsqueeze(axis)
    return x


def _slice(
    a: Attributes,
    x: Tensor,
    starts: Array,
    ends: Array,
    axes: Array | None = None,
    steps: Array | None = None,
) -> Tensor:
    first, last = axis_list(starts), axis_list(ends)
    along = axis_list(axes) if axes is not None else tuple(range(len(first)))
    step = axis_list(steps) if steps is not None else (1,) * len(first)
    for begin, end, axis, stride in zip(first, last, along, step, strict=True):
        chosen = range(x.shape[axis])[begin:end:stride]
        if stride > 0:
            length = max(chosen.stop - chosen.start, 0)
            x = x.narrow(axis, min(chosen.start, x.shape[axis]), length)
            if stride > 1:
                x = x.index_select(axis, torch.arange(0, length, stride, device=x.device))
        else:
            x = x.index_select(axis, torch.tensor(list(chosen), dtype=torch.int64, device=x.device))
    return x


def _split(a: Attributes, x: Tensor, sizes: Array | None = None) -> tuple[Tensor, ...]:
    axis = a.integer("axis")
    given = axis_list(sizes) or a.integers("split")
    if not given:
        size = -(-x.shape[axis] // a.outputs)
        given = (size,) * (a.outputs - 1) + (x.shape[axis] - size * (a.outputs - 1),)
    return tuple(torch.split(x, list(given), axis))


def _gather(a: Attributes, x: Tensor, indices: Tensor) -> Tensor:
    axis = a.integer("axis") % x.ndim
    taken = x.index_select(axis, _from_front(indices, x.shape[axis]).reshape(-1))
    return taken.reshape(*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])


def _gather_elements(a: Attributes, x: Tensor, indices: Tensor) -> Tensor:
    axis = a.integer("axis")
    return torch.gather(x, axis, _from_front(indices, x.shape[axis]))


def _from_front(indices: Tensor, size: int) -> Tensor:
    return torch.where(indices < 0, indices + size, indices).long()


def _gather_nd(a: Attributes, x: Tensor, indices: Array) -> Tensor:
    if a.integer("batch_dims"):
        raise Unsupported("a GatherND with batch_dims")
    return x[_places(indices, x)]


def _scatter_elements(a: Attributes, x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    if a.text("reduction", "none") != "none":
        raise Unsupported("a ScatterElements with a reduction")
    axis = a.integer("axis")
    return torch.scatter(x, axis, _from_front(indices, x.shape[axis]), updates)


def _scatter_nd(a: Attributes, x: Tensor, indices: Array, updates: Tensor) -> Tensor:
    if a.text("reduction", "none") != "none":
        raise Unsupported("a ScatterND with a reduction")
    return torch.index_put(x, _places(indices, x), updates)


def _places(indices: Array, x: Tensor) -> tuple[Tensor, ...]:
    """Constant indices `[…, axes]` as one tensor an axis."""
    return tuple(torch.as_tensor(np.moveaxis(np.array(indices), -1, 0), device=x.device))


def _pad(
    a: Attributes,
    x: Tensor,
    pads: Array | None = None,
    value: Array | None = None,
    axes: Array | None = None,
) -> Tensor:
    ends = axis_list(pads) or a.integers("pads")
    along = axis_list(axes) if axes is not None else tuple(range(x.ndim))
    fill = float(np.asarray(value).reshape(-1)[0]) if value is not None and value.size else 0.0
    mode = a.text("mode", "constant")
    for position, axis in enumerate(along):
        before, after = ends[position], ends[position + len(along)]
        if before < 0 or after < 0:
            start, stop = max(-before, 0), x.shape[axis] - max(-after, 0)
            x = x.narrow(axis, start, stop - start)
            before, after = max(before, 0), max(after, 0)
        if not before and not after:
            continue
        if mode == "constant":
            flat = [0, 0] * (x.ndim - 1 - axis % x.ndim) + [before, after]
            x = functional.pad(x, flat, value=fill)
            continue
        chosen = np.pad(np.arange(x.shape[axis]), (before, after), mode=mode)  # type: ignore[call-overload]
        x = x.index_select(axis, torch.as_tensor(chosen, device=x.device))
    return x


def _depth_to_space(a: Attributes, x: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    size = a.integer("blocksize")
    depth = channels // size**2
    if a.text("mode", "DCR") == "DCR":
        blocks = x.reshape(batch, size, size, depth, height, width).permute(0, 3, 4, 1, 5, 2)
    else:
        blocks = x.reshape(batch, depth, size, size, height, width).permute(0, 1, 4, 2, 5, 3)
    return blocks.reshape(batch, depth, height * size, width * size)


def _space_to_depth(a: Attributes, x: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    size = a.integer("blocksize")
    blocks = x.reshape(batch, channels, height // size, size, width // size, size)
    blocks = blocks.permute(0, 3, 5, 1, 2, 4)
    return blocks.reshape(batch, channels * size**2, height // size, width // size)


def _trilu(a: Attributes, x: Tensor, diagonal: Array | None = None) -> Tensor:
    offset = int(np.asarray(diagonal).reshape(-1)[0]) if diagonal is not None else 0
    return torch.triu(x, offset) if a.integer("upper", 1) else torch.tril(x, offset)


MOVEMENT: dict[str, Operator] = {
    "Reshape": Operator(_reshape, static=(1,)),
    "Flatten": Operator(_flatten),
    "Squeeze": Operator(_squeeze, static=(1,)),
    "Unsqueeze": Operator(_unsqueeze, static=(1,)),
    "Transpose": Operator(lambda a, x: x.permute(a.integers("perm", range(x.ndim - 1, -1, -1)))),
    "Expand": Operator(
        lambda a, x, shape: x.expand(np.broadcast_shapes(tuple(x.shape), axis_list(shape))),
        static=(1,),
    ),
    "Tile": Operator(lambda a, x, repeats: x.repeat(axis_list(repeats)), static=(1,)),
    "Slice": Operator(_slice, static=(1, 2, 3, 4)),
    "Split": Operator(_split, static=(1,)),
    "Concat": Operator(lambda a, *values: torch.cat(values, a.integer("axis"))),
    "Gather": Operator(_gather, weights=(0,)),
    "GatherElements": Operator(_gather_elements),
    "GatherND": Operator(_gather_nd, static=(1,)),
    "ScatterElements": Operator(_scatter_elements),
    "ScatterND": Operator(_scatter_nd, static=(1,)),
    "Pad": Operator(_pad, static=(1, 2, 3)),
    "DepthToSpace": Operator(_depth_to_space),
    "SpaceToDepth": Operator(_space_to_depth),
    "Trilu": Operator(_trilu, static=(1,)),
}
