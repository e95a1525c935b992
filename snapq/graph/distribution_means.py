"""The means of distributions over channels, as detectors read the sides of boxes, map by map.

What `Softmax` and a product with the bins give of groups of channels, moved about and joined, is
`sum(b e) / sum(e)` with `e = exp(x - max(x))`, where each sum is a 1x1 Conv over a map as its layer
gave it, and the maximum is taken of halves of the channels, bin by bin.

The NPU takes a Softmax over few values in a tensor of many rows nearly one by one. Estimated in us
on QCS9075 and SA8797P (QAIRT 2.51), the four sides of 16 bins of 80 x 80, 40 x 40 and 20 x 20
places behind three Convs: fp16 1,102 and 673 against 439 and 253, w8a16 850 and 418 against 400 and
206, of which the layers and the output take 207 in fp16. On the simulator fp16 has 65 dB in the
place of 59, 16 bits the same; 8 bits are 1 to 2 dB worse, as they round the sums.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import (
    Editor,
    constant,
    input_at,
    integers,
    ints_attribute,
    is_float,
    is_op,
    number,
    permutation,
)
from snapq.graph.shapes import Shape, static_shape

__all__ = ["DistributionMean", "mean_behind", "written_by_maps"]

_BINS = range(16, 65)
_GROUPS = range(2, 9)
_LEAST_PLACES, _MOST = 512, 1 << 24
"""Places of all maps together at least, and elements that are followed at most.

Over fewer places or bins, or with a single group, the Softmax is as fast or faster.
"""
_MOVES = ("Reshape", "Transpose")
_MAP = 4
_LIMIT = -80.0
"""Of an exponent in fp16: what is less is garbage on the NPU, and 0 from -17.4 on."""

Places = np.ndarray


@dataclass(frozen=True)
class DistributionMean:
    """A Softmax over groups of channels and the product with the bins behind it.

    Attributes:
        softmax: the Softmax.
        product: the Conv or Gemm that gives the mean.
        maps: `[1, C, H, W]` each, of which the groups are taken.
        groups: `[groups, bins]`, the channels of each group.
        bins: `[bins]`, what each bin stands for.
        turned: whether the results lie place by place, `[places, groups]`.
    """

    softmax: ir.Node
    product: ir.Node
    maps: tuple[ir.Value, ...]
    groups: np.ndarray
    bins: np.ndarray
    turned: bool


def mean_behind(node: ir.Node) -> DistributionMean | None:
    """The mean that is taken of a Softmax over groups of channels; None where none is."""
    shape = static_shape(node.inputs[0])
    if not is_op(node, "Softmax") or shape is None or not is_float(node.inputs[0]):
        return None
    axis = node.attributes.get_int("axis", -1) % len(shape)
    if shape[axis] not in _BINS or prod(shape) > _MOST:
        return None
    product = _product(node, axis, shape)
    maps = list(_maps(node.inputs[0]))
    shapes = [size for one in maps if (size := static_shape(one)) is not None]
    if product is None or not maps or len(shapes) != len(maps):
        return None
    if any(len(size) != _MAP or size[0] != 1 or size[1] != shapes[0][1] for size in shapes):
        return None
    if sum(prod(size[2:]) for size in shapes) < _LEAST_PLACES or sum(map(prod, shapes)) > _MOST:
        return None
    starts = np.cumsum([0, *map(prod, shapes)])
    known = {
        one: np.arange(start, start + prod(size), dtype=np.int32).reshape(size)
        for one, start, size in zip(maps, starts, shapes, strict=False)
    }
    origin = _moved(node.inputs[0], known)
    if origin is None:
        return None
    found = _grouped(np.moveaxis(origin, axis, -1).reshape(-1, shape[axis]), starts, shapes)
    if found is None:
        return None
    groups, turned = found
    return DistributionMean(node, product[0], tuple(maps), groups, product[1], turned)


def _product(node: ir.Node, axis: int, shape: Shape) -> tuple[ir.Node, np.ndarray] | None:
    """What alone reads a Softmax and gives one number for each distribution, and its weights."""
    value = node.outputs[0]
    user = _reader(value)
    last = len(shape) - 1
    if user is not None and is_op(user, "Reshape") and axis == last:
        after = static_shape(user.outputs[0])
        if after is None or after[-1] != shape[axis]:
            return None
        value, user = user.outputs[0], _reader(user.outputs[0])
    if user is None or user.inputs[0] is not value or input_at(user, 2) is not None:
        return None
    weights = constant(user.inputs[1]) if len(user.inputs) > 1 else None
    if weights is None or weights.size != shape[axis]:
        return None
    if is_op(user, "Conv") and axis == 1 and len(shape) == _MAP:
        plain = weights.shape == (1, shape[1], 1, 1)
        strides = ints_attribute(user, "strides") or (1, 1)
        pads = ints_attribute(user, "pads") or (0,)
        fits = plain and max(strides) == 1 and not any(pads)
    elif is_op(user, "Gemm"):
        factor = user.attributes.get_float("alpha", 1.0)
        turned = user.attributes.get_int("transB", 0)
        fits = axis == last and factor == 1.0 and not user.attributes.get_int("transA", 0)
        fits = fits and weights.shape == ((1, weights.size) if turned else (weights.size, 1))
    else:
        fits = is_op(user, "MatMul") and axis == last and weights.shape[-1] in (1, weights.size)
    return (user, weights.reshape(-1)) if fits else None


def _reader(value: ir.Value) -> ir.Node | None:
    """The one node that reads a value; None where there are more, or it is an output."""
    uses = list(value.uses())
    return uses[0].node if len(uses) == 1 and not value.is_graph_output() else None


def _maps(value: ir.Value | None) -> Iterator[ir.Value]:
    """What a value is moved from, part by part, in order."""
    while value is not None and (maker := value.producer()) is not None:
        if is_op(maker, "Concat"):
            for part in maker.inputs:
                yield from _maps(part)
            return
        if not is_op(maker, *_MOVES) or maker.inputs[0] is None:
            break
        value = maker.inputs[0]
    if value is not None:
        yield value


def _moved(value: ir.Value | None, known: dict[ir.Value, Places]) -> Places | None:
    """Where each element of a value comes from."""
    if value is None or value in known:
        return known.get(value) if value is not None else None
    maker, shape = value.producer(), static_shape(value)
    if maker is None or shape is None:
        return None
    if is_op(maker, "Concat"):
        parts = [_moved(part, known) for part in maker.inputs]
        axis = maker.attributes.get_int("axis", 0)
        return None if any(one is None for one in parts) else np.concatenate(parts, axis)  # type: ignore[arg-type]
    inner = _moved(maker.inputs[0], known)
    if inner is None:
        return None
    return inner.reshape(shape) if is_op(maker, "Reshape") else inner.transpose(permutation(maker))


def _grouped(
    origin: Places, starts: np.ndarray, shapes: list[Shape]
) -> tuple[np.ndarray, bool] | None:
    """The channels of each group, and whether results lie place by place.

    Args:
        origin: `[distributions, bins]`, where each value comes from, counted through all maps.
        starts: where each map begins.
        shapes: of the maps.
    """
    which = np.searchsorted(starts, origin[:, 0], side="right") - 1
    sizes = np.array([prod(size[2:]) for size in shapes])
    inside = origin - starts[which][:, np.newaxis]
    channels, places = np.divmod(inside, sizes[which][:, np.newaxis])
    count = shapes[0][1]
    if np.any(inside < 0) or np.any(channels >= count) or np.any(places != places[:, :1]):
        return None
    groups, group = np.unique(channels, axis=0, return_inverse=True)
    if len(groups) not in _GROUPS or np.unique(groups).size != groups.size:
        return None
    total = int(sizes.sum())
    before = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    target = group.reshape(-1) * total + before[which] + places[:, 0]
    order = np.arange(len(groups) * total)
    if np.array_equal(target, order):
        return groups, False
    if np.array_equal(target, order.reshape(len(groups), total).T.reshape(-1)):
        return groups, True
    return None


def written_by_maps(found: DistributionMean, edit: Editor, *, limited: bool) -> ir.Value:
    """What gives the same as the product of a distribution, in front of the editor's anchor.

    Args:
        found: the Softmax and its product; both stay where they are.
        edit: whose anchor lies behind the maps.
        limited: whether exponents are kept from what fp16 gets wrong.
    """
    parts = [_of_map(one, found, edit, limited) for one in found.maps]
    count, total = found.groups.shape[0], 0
    flat = []
    for part in parts:
        shape = static_shape(part)
        assert shape is not None
        total += prod(shape[2:])
        size = (1, count, prod(shape[2:]))
        flat.append(_shaped(edit.op("Reshape", part, integers(*size)), size, part))
    joined = flat[0]
    if len(flat) > 1:
        joined = _shaped(edit.op("Concat", *flat, axis=2), (1, count, total), joined)
    if found.turned:
        turned = edit.op("Transpose", joined, perm=(0, 2, 1))
        joined = _shaped(turned, (1, total, count), joined)
    shape = static_shape(found.product.outputs[0])
    assert shape is not None
    return _shaped(edit.op("Reshape", joined, integers(*shape)), shape, joined)


def _of_map(value: ir.Value, found: DistributionMean, edit: Editor, limited: bool) -> ir.Value:
    """The means of one map, `[1, groups, H, W]`."""
    shape = static_shape(value)
    assert shape is not None
    groups, bins = found.groups.shape
    place = shape[2:]
    taken = np.zeros((groups * bins, shape[1]))
    taken[np.arange(groups * bins), found.groups.T.reshape(-1)] = 1
    spread = np.tile(np.eye(groups), (bins, 1))
    values = _conv(value, taken, edit)
    top, left = values, bins
    while left > 1:
        half = (left + 1) // 2
        low, high = _halves(top, groups * left, groups * half, place, edit)
        top = _shaped(edit.op("Max", low, high), (1, groups * half, *place), values)
        left = half
    below = edit.op("Sub", values, _conv(top, spread, edit))
    size = (1, groups * bins, *place)
    below = _shaped(below, size, values)
    if limited:
        below = _shaped(edit.op("Clip", below, number(_LIMIT), number(0.0)), size, values)
    powers = _shaped(edit.op("Exp", below), size, values)
    weighted = _conv(powers, spread.T * np.repeat(found.bins, groups), edit)
    mean = edit.op("Div", weighted, _conv(powers, spread.T, edit))
    return _shaped(mean, (1, groups, *place), values)


def _halves(
    value: ir.Value, count: int, half: int, place: Shape, edit: Editor
) -> tuple[ir.Value, ir.Value]:
    """The first and the last channels of a map, `half` each; they may overlap."""
    size = (1, half, *place)
    if 2 * half == count:
        low, high = edit.ops("Split", value, outputs=2, axis=1, num_outputs=2)
    else:
        bounds = ((0, half), (count - half, count))
        low, high = (edit.op("Slice", value, *map(integers, (*one, 1, 1))) for one in bounds)
    return _shaped(low, size, value), _shaped(high, size, value)


def _conv(value: ir.Value, weights: np.ndarray, edit: Editor) -> ir.Value:
    """A 1x1 Conv with weights `[O, I]`."""
    shape = static_shape(value)
    assert shape is not None
    made = edit.op("Conv", value, weights.astype(np.float32)[:, :, np.newaxis, np.newaxis])
    return _shaped(made, (1, len(weights), *shape[2:]), value)


def _shaped(value: ir.Value, shape: Shape, like: ir.Value) -> ir.Value:
    """A value with its shape, of the same type as another."""
    value.shape, value.type = ir.Shape(shape), like.type
    return value
