"""A batch through operators that move elements: reshaping, turning, joining, picking, padding."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.batch.place import Batch, Place, Rule, refuse, reshaped
from snapq.graph.edit import (
    Editor,
    constant,
    constant_ints,
    input_at,
    integers,
    ints_attribute,
    pad_widths,
    permutation,
)
from snapq.operators import MAX_RANK, Trait, having

_TO_THE_END = (1 << 31) - 1


def _reshape(node: ir.Node, batch: Batch) -> None:
    """Elements keep their order, so that samples lie behind the same number of elements.

    Where an axis of their own is not to be had, they share one: `[S, 1, 768]` as `[S, 12, 64]` is
    `[S, batch * 12, 64]`, or `[S * batch, 12, 64]`; what is behind says which.
    """
    place, output = batch.only(node), node.outputs[0]
    found = reshaped(batch.shape(node.inputs[0]), place, batch.shape(output))
    if not found:
        refuse(node, "puts the samples between elements of others")
    batch.give(node, found[batch.choose(len(found))])


def _change_shape(node: ir.Node, batch: Batch, edit: Editor, size: int) -> None:
    """The shape is written out; a Squeeze of the axis becomes a Reshape."""
    output = node.outputs[0]
    shape = batch.places[output].grown(batch.shape(output), size)
    if node.op_type != "Reshape":
        given = batch.places[node.inputs[0]]  # type: ignore[index]
        if _as_it_is(node, given.grown(batch.shape(node.inputs[0]), size)) == shape:
            return
        node.op_type = "Reshape"
        node.attributes.clear()
        node.resize_inputs(1)
    node.attributes.pop("allowzero", None)
    edit.set_constant(node, 1, integers(*shape))


def _as_it_is(node: ir.Node, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """What a Flatten, Squeeze or Unsqueeze makes of a shape; None where that cannot be told."""
    if node.op_type == "Flatten":
        axis = node.attributes.get_int("axis", 1) % (len(shape) + 1)
        first, rest = 1, 1
        for dim in shape[:axis]:
            first *= dim
        for dim in shape[axis:]:
            rest *= dim
        return first, rest
    axes = constant_ints(input_at(node, 1))
    if axes is None:
        return None
    if node.op_type == "Squeeze":
        gone = {axis % len(shape) for axis in axes}
        if any(shape[axis] != 1 for axis in gone):
            return None
        return tuple(dim for axis, dim in enumerate(shape) if axis not in gone)
    made = list(shape)
    for axis in sorted(axis % (len(shape) + len(axes)) for axis in axes):
        made.insert(axis, 1)
    return tuple(made)


def _transpose(node: ir.Node, batch: Batch) -> None:
    """1. The axis of the samples goes where the order says.

    2. Where that leads nowhere, and the samples share it, they go to the front: `[batch * 40, 8,
       15]` becomes `[batch * 8, 40, 15]` and not `[8, batch * 40, 15]`.
    """
    place, output = batch.only(node), node.outputs[0]
    order = permutation(node)
    ways = [Place(order.index(place.axis), place.outer)]
    if ways[0] != Place(0) and len(_apart(batch.shape(node.inputs[0]), place, 2)) <= MAX_RANK:
        ways.append(Place(0))
    batch.places[output] = ways[batch.choose(len(ways))]


def _change_transpose(node: ir.Node, batch: Batch, edit: Editor, size: int) -> None:
    given, output = node.inputs[0], node.outputs[0]
    assert given is not None
    place, order = batch.places[given], permutation(node)
    if batch.places[output] == Place(order.index(place.axis), place.outer):
        return
    shape = batch.shape(given)
    apart = _apart(shape, place, size)
    kept = [axis for axis, _ in apart]
    front = [kept.index(None)]
    for axis in order:
        front += [index for index, own in enumerate(kept) if own == axis]
    edit.begin(node)
    parted = edit.op("Reshape", given, integers(*(dim for _, dim in apart)))
    turned = edit.op("Transpose", _requantized(edit, node, parted), perm=front)
    target = batch.places[output].grown(batch.shape(output), size)
    node.op_type = "Reshape"
    node.attributes.clear()
    node.replace_input_with(0, _requantized(edit, node, turned))
    edit.set_constant(node, 1, integers(*target))


def _apart(shape: tuple[int, ...], place: Place, size: int) -> list[tuple[int | None, int]]:
    """Axes and sizes with the samples along an axis of their own, which is None."""
    found: list[tuple[int | None, int]] = []
    for axis, dim in enumerate(shape):
        if axis != place.axis:
            found.append((axis, dim))
            continue
        parts = ((axis, place.outer), (None, size), (axis, dim // place.outer))
        found += [part for part in parts if part[0] is None or part[1] > 1]
    return found


def _requantized(edit: Editor, node: ir.Node, value: ir.Value) -> ir.Value:
    """Of a node of a quantized unit, Q and DQ in the encoding of what it gives; else the value."""
    users = [user for user, _ in node.outputs[0].uses()]
    if not users or any(user.op_type != "QuantizeLinear" for user in users):
        return value
    own = users[0]
    codes = edit.op("QuantizeLinear", value, *own.inputs[1:])
    return edit.op("DequantizeLinear", codes, *own.inputs[1:])


def _concat(node: ir.Node, batch: Batch) -> None:
    """Parts meet element by element along the other axes; constants are repeated."""
    place = batch.joined(node, range(len(node.inputs)), broadcasts=False)
    if place.axis == node.attributes.get_int("axis", 0) % batch.rank(node.outputs[0]):
        refuse(node, "joins other elements to the axis of the samples")
    batch.give(node, place)


def _split(node: ir.Node, batch: Batch) -> None:
    place = batch.only(node)
    if node.attributes.get_int("axis", 0) % batch.rank(node.inputs[0]) == place.axis:
        refuse(node, "splits the axis of the samples")
    batch.give(node, place)


def _slice(node: ir.Node, batch: Batch) -> None:
    """The axis of the samples is not sliced, or is taken whole."""
    place = batch.only(node)
    size = batch.shape(node.inputs[0])[place.axis]
    part = _slice_of(node, place.axis, batch.rank(node.inputs[0]))
    whole = part is None or (part[1] in (0, -size) and part[2] >= size and part[3] == 1)
    if not whole:
        refuse(node, "takes a part of the axis of the samples")
    batch.give(node, place)


def _slice_of(node: ir.Node, axis: int, rank: int) -> tuple[int, int, int, int] | None:
    """Index in the list, start, end and step of an axis; None where it is not sliced."""
    starts, ends = constant_ints(node.inputs[1]), constant_ints(node.inputs[2])
    if starts is None or ends is None:
        refuse(node, "has bounds that are not constant")
    axes = constant_ints(input_at(node, 3)) or tuple(range(len(starts)))
    steps = constant_ints(input_at(node, 4)) or (1,) * len(starts)
    for index, own in enumerate(axes):
        if own % rank == axis:
            return index, starts[index], ends[index], steps[index]
    return None


def _change_slice(node: ir.Node, batch: Batch, edit: Editor, size: int) -> None:
    del size
    place = batch.places[node.inputs[0]]  # type: ignore[index]
    part = _slice_of(node, place.axis, batch.rank(node.inputs[0]))
    if part is None:
        return
    for number, bound in ((1, 0), (2, _TO_THE_END)):
        known = constant(node.inputs[number])
        assert known is not None
        bounds = known.copy()
        bounds[part[0]] = bound
        edit.set_constant(node, number, bounds)


def _gather(node: ir.Node, batch: Batch) -> None:
    """1. Axes that are not picked from pass. 2. Indices of samples pick from what all share.

    3. Of an axis that samples share, constant indices pick the same from each; of one that is
       theirs alone, `x[0]` is all that there is, and only the shape changes.
    """
    data, indices = batch.place(node.inputs[0]), batch.place(node.inputs[1])
    rank, depth = batch.rank(node.inputs[0]), batch.rank(node.inputs[1])
    axis = node.attributes.get_int("axis", 0) % rank
    if data is not None and indices is not None:
        refuse(node, "picks by indices of one sample from another")
    if indices is not None:
        return batch.give(node, indices.moved(axis))
    assert data is not None
    if data.axis == axis:
        picked = constant(node.inputs[1])
        if picked is not None and picked.ndim == 1 and data.outer == 1:
            return batch.give(node, data)
        if picked is None or picked.ndim or batch.shape(node.inputs[0])[axis] != 1:
            refuse(node, "picks from the axis of the samples")
        return _reshape(node, batch)
    return batch.give(node, data.moved(depth - 1) if data.axis > axis else data)


def _change_gather(node: ir.Node, batch: Batch, edit: Editor, size: int) -> None:
    given, output = node.inputs[0], node.outputs[0]
    place = batch.place(given)
    if place is None or place.axis != node.attributes.get_int("axis", 0) % batch.rank(given):
        return
    picked, count = constant(node.inputs[1]), batch.shape(given)[place.axis]
    assert picked is not None
    if picked.ndim == 1:
        each = np.where(picked < 0, picked + count, picked)
        whole = (np.arange(size)[:, None] * count + each).reshape(-1)
        edit.set_constant(node, 1, whole.astype(picked.dtype))
        return
    node.op_type = "Reshape"
    node.attributes.clear()
    edit.set_constant(node, 1, integers(*batch.places[output].grown(batch.shape(output), size)))


def _gather_nd(node: ir.Node, batch: Batch) -> None:
    """Indices of samples pick from what all share."""
    place = batch.only(node, 1)
    if (
        place.axis == batch.rank(node.inputs[1]) - 1
        or node.attributes.get_int("batch_dims", 0) != 0
    ):
        refuse(node, "picks from the axis of the samples")
    batch.give(node, place)


def _elements(node: ir.Node, batch: Batch) -> None:
    """GatherElements, ScatterElements: all inputs meet along the other axes."""
    axis = node.attributes.get_int("axis", 0) % batch.rank(node.inputs[0])
    place = batch.joined(node, range(len(node.inputs)), broadcasts=False)
    if axis == place.axis:
        refuse(node, "picks from the axis of the samples")
    batch.give(node, place)


def _one_hot(node: ir.Node, batch: Batch) -> None:
    place = batch.only(node)
    axis = node.attributes.get_int("axis", -1) % (batch.rank(node.inputs[0]) + 1)
    batch.give(node, place.moved(place.axis >= axis))


def _pad(node: ir.Node, batch: Batch) -> None:
    place = batch.only(node)
    widths = pad_widths(node, batch.rank(node.inputs[0]))
    if widths is None or widths[place.axis] != (0, 0):
        refuse(node, "pads the axis of the samples")
    batch.give(node, place)


def _expand(node: ir.Node, batch: Batch) -> None:
    place, output = batch.only(node), node.outputs[0]
    target = place.moved(batch.rank(output) - batch.rank(node.inputs[0]))
    if batch.shape(output)[target.axis] != batch.shape(node.inputs[0])[place.axis]:
        refuse(node, "repeats samples along their own axis")
    batch.give(node, target)


def _change_expand(node: ir.Node, batch: Batch, edit: Editor, size: int) -> None:
    output = node.outputs[0]
    edit.set_constant(node, 1, integers(*batch.places[output].grown(batch.shape(output), size)))


def _tile(node: ir.Node, batch: Batch) -> None:
    place = batch.only(node)
    repeats = constant_ints(node.inputs[1])
    if repeats is None or repeats[place.axis] != 1:
        refuse(node, "repeats samples along their own axis")
    batch.give(node, place)


def _resize(node: ir.Node, batch: Batch) -> None:
    place = batch.only(node)
    sizes = (batch.shape(value)[place.axis] for value in (node.inputs[0], node.outputs[0]))
    if len(set(sizes)) != 1:
        refuse(node, "resizes the axis of the samples")
    batch.give(node, place)


def _change_resize(node: ir.Node, batch: Batch, edit: Editor, size: int) -> None:
    if constant_ints(input_at(node, 3)) is None:
        return
    output = node.outputs[0]
    shape = batch.places[output].grown(batch.shape(output), size)
    axes = ints_attribute(node, "axes") or tuple(range(len(shape)))
    edit.set_constant(node, 3, integers(*(shape[axis] for axis in axes)))


def _grid_sample(node: ir.Node, batch: Batch) -> None:
    place = batch.joined(node, (0, 1), broadcasts=False)
    if place.axis != 0:
        refuse(node, "mixes the axis along which the samples lie")
    batch.give(node, place)


RULES = {
    **dict.fromkeys(having(Trait.RESHAPES), Rule(_reshape, _change_shape)),
    **dict.fromkeys(("GatherElements", "ScatterElements"), Rule(_elements)),
    "Transpose": Rule(_transpose, _change_transpose),
    "Concat": Rule(_concat),
    "Split": Rule(_split),
    "Slice": Rule(_slice, _change_slice),
    "Gather": Rule(_gather, _change_gather),
    "GatherND": Rule(_gather_nd),
    "OneHot": Rule(_one_hot),
    "Pad": Rule(_pad),
    "Expand": Rule(_expand, _change_expand),
    "Tile": Rule(_tile),
    "Resize": Rule(_resize, _change_resize),
    "GridSample": Rule(_grid_sample),
}
