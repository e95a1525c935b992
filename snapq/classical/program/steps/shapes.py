"""What moves values without computing with them."""

from __future__ import annotations

import numpy as np

from ..registry import operation
from ..step import Array, Step

_MOST = 1e9
"""Values of a table; more would not fit into memory."""


def _ints(values: Array) -> tuple[int, ...]:
    return tuple(int(value) for value in np.asarray(values).reshape(-1))


def _filled(lengths: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of something that is filled.

    Raises:
        ValueError: it is larger than any table of features.
    """
    if any(length < 0 for length in lengths) or float(np.prod(lengths, dtype=float)) > _MOST:
        raise ValueError(f"the shape {lengths} is not one of a table of features")
    return lengths


@operation("Reshape")
def reshape(step: Step, x: Array, shape: Array) -> Array:
    """Gives another shape; 0 keeps a length (unless `allowzero`), -1 takes the rest."""
    wanted = _ints(shape)
    if not step.attributes.get("allowzero", 0):
        wanted = tuple(x.shape[i] if length == 0 else length for i, length in enumerate(wanted))
    return np.reshape(x, wanted)


@operation("Flatten")
def flatten(step: Step, x: Array) -> Array:
    """Makes a matrix: the axes before `axis`, and the others."""
    axis = int(step.attributes.get("axis", 1))
    axis = axis + x.ndim if axis < 0 else axis
    return np.reshape(x, (int(np.prod(x.shape[:axis], dtype=np.int64)), -1))


@operation("Squeeze")
def squeeze(_: Step, x: Array, axes: Array | None = None) -> Array:
    """Takes axes of length 1 away."""
    return np.squeeze(x) if axes is None else np.squeeze(x, _ints(axes))


@operation("Unsqueeze")
def unsqueeze(_: Step, x: Array, axes: Array) -> Array:
    """Puts axes of length 1 in."""
    return np.expand_dims(x, _ints(axes))


@operation("Transpose")
def transpose(step: Step, x: Array) -> Array:
    """Orders the axes anew; without `perm` the other way round."""
    return np.transpose(x, step.attributes.get("perm"))


@operation("Concat")
def concat(step: Step, *values: Array) -> Array:
    """Puts values one behind the other along an axis."""
    return np.concatenate(values, axis=int(step.attributes["axis"]))


@operation("Split")
def split(step: Step, x: Array, sizes: Array | None = None) -> tuple[Array, ...]:
    """Cuts along an axis, into parts of given or of equal sizes."""
    axis = int(step.attributes.get("axis", 0))
    parts = len(step.outputs)
    if sizes is None:
        each = -(-x.shape[axis] // parts)
        return tuple(np.split(x, [each * i for i in range(1, parts)], axis))
    return tuple(np.split(x, np.cumsum(sizes)[:-1], axis))


@operation("Slice")
def cut_out(
    _: Step,
    x: Array,
    starts: Array,
    ends: Array,
    axes: Array | None = None,
    steps: Array | None = None,
) -> Array:
    """Takes a range of some axes."""
    first, last = _ints(starts), _ints(ends)
    along = _ints(axes) if axes is not None else tuple(range(len(first)))
    strides = _ints(steps) if steps is not None else (1,) * len(first)
    ranges = [slice(None)] * x.ndim
    for start, end, axis, stride in zip(first, last, along, strides):
        # A range that runs backwards to before the first value ends at None for NumPy.
        ends_before = stride < 0 and end < -x.shape[axis]
        ranges[axis] = slice(start, None if ends_before else end, stride)
    return x[tuple(ranges)]


@operation("Gather")
def gather(step: Step, x: Array, indices: Array) -> Array:
    """Takes entries of an axis by their indices."""
    return np.take(x, indices.astype(np.int64), axis=int(step.attributes.get("axis", 0)))


@operation("GatherElements")
def gather_elements(step: Step, x: Array, indices: Array) -> Array:
    """Takes one entry of an axis for each index."""
    axis = int(step.attributes.get("axis", 0))
    return np.take_along_axis(x, indices.astype(np.int64), axis)


@operation("Shape")
def shape_of(step: Step, x: Array) -> Array:
    """Gives the lengths of the axes."""
    start, end = step.attributes.get("start", 0), step.attributes.get("end")
    return np.array(x.shape[start:end], np.int64)


@operation("ConstantOfShape")
def constant_of_shape(step: Step, shape: Array) -> Array:
    """Fills a shape with one value, `value` (else float32 0)."""
    value = step.arrays.get("value", np.zeros(1, np.float32))
    return np.full(_filled(_ints(shape)), value.reshape(-1)[0], value.dtype)


@operation("Expand")
def expand(_: Step, x: Array, shape: Array) -> Array:
    """Repeats along axes of length 1 until the shape fits."""
    wanted = np.broadcast_shapes(x.shape, _filled(_ints(shape)))
    return np.array(np.broadcast_to(x, _filled(wanted)))


@operation("Tile")
def tile(_: Step, x: Array, repeats: Array) -> Array:
    """Repeats the whole along each axis."""
    times = _ints(repeats)
    _filled(tuple(length * count for length, count in zip(x.shape, times)))
    return np.tile(x, times)
