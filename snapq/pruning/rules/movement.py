"""Operators that move elements without computing: joining, splitting, picking, padding, turning."""

from __future__ import annotations

from itertools import chain

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import constant, constant_ints, input_at, ints_attribute, pad_widths
from snapq.pruning.axes import Axes, Made
from snapq.pruning.rules.base import Cut, Rule, broadcast, other_axes, resize_shape, title
from snapq.pruning.rules.layers import is_weight


def _transpose(node: ir.Node, axes: Axes) -> None:
    """Output axis `i` is input axis `perm[i]`."""
    data, output = node.inputs[0], node.outputs[0]
    order = ints_attribute(node, "perm") or tuple(reversed(range(axes.rank(data))))
    for target, source in enumerate(order):
        axes.tie(axes.of(data, source), axes.of(output, target))


def _concat(node: ir.Node, axes: Axes) -> None:
    """Concat, Split: the parts lie one after the other along `axis`; other axes belong together."""
    joins = node.op_type == "Concat"
    whole, parts = (node.outputs[0], node.inputs) if joins else (node.inputs[0], node.outputs)
    joined = node.attributes.get_int("axis", 0) % axes.rank(whole)
    start = 0
    for part in parts:
        other_axes(axes, part, whole, joined)
        ids = axes.of(part, joined)
        axes.tie(ids, axes.of(whole, joined)[start : start + len(ids)])
        start += len(ids)


def _resize_split(node: ir.Node, cut: Cut) -> None:
    axis = node.attributes.get_int("axis", 0)
    sizes = [cut.shape(output)[axis] for output in node.outputs]
    node.attributes.pop("num_outputs", None)
    cut.set_integers(node, 1, sizes)


def _slice_of(node: ir.Node, rank: int) -> dict[int, slice] | None:
    """The slice of each axis that is sliced; None where it is not constant."""
    starts, ends = constant_ints(node.inputs[1]), constant_ints(node.inputs[2])
    if starts is None or ends is None:
        return None
    given = [constant_ints(input_at(node, index)) for index in (3, 4)]
    if any(input_at(node, i + 3) is not None and given[i] is None for i in (0, 1)):
        return None
    axes = given[0] or tuple(range(len(starts)))
    steps = given[1] or (1,) * len(starts)
    return {
        axis % rank: slice(start, None if step < 0 and end < -(1 << 30) else end, step)
        for axis, start, end, step in zip(axes, starts, ends, steps, strict=True)
    }


def _slice(node: ir.Node, axes: Axes) -> None:
    """1. An axis that is not sliced passes.

    2. Of an axis that is sliced with step 1, the picked indices pass; with other steps they stay.
    """
    data, output = node.inputs[0], node.outputs[0]
    slices = _slice_of(node, axes.rank(data))
    for axis in range(axes.rank(data)):
        source, target = axes.of(data, axis), axes.of(output, axis)
        if slices is None:
            if len(source) == len(target):
                axes.tie(source, target)
            for ids in (source, target):
                axes.freeze(ids, f"{title(node)} has bounds that are not constant")
            continue
        part = slices.get(axis, slice(None))
        axes.tie(source[part], target)
        if part.step not in (None, 1):
            axes.freeze(source, f"{title(node)} takes it in steps")


def _resize_slice(node: ir.Node, cut: Cut) -> None:
    rank = len(cut.shape(node.inputs[0]))
    slices = _slice_of(node, rank)
    if slices is None:
        return
    bounds = []
    for axis, part in slices.items():
        kept = cut.masks(node.inputs[0])[axis]
        if kept.all():
            end = part.stop if part.stop is not None else -(1 << 62)
            bounds.append((part.start, end, part.step))
        else:
            first, last, _ = part.indices(len(kept))
            bounds.append((int(kept[:first].sum()), int(kept[:last].sum()), 1))
    columns = (*zip(*bounds, strict=True),)
    for index, values in ((1, columns[0]), (2, columns[1]), (3, tuple(slices)), (4, columns[2])):
        cut.set_integers(node, index, values)


def _pad(node: ir.Node, axes: Axes) -> None:
    """What is padded on belongs to nothing else; what was there passes."""
    data, output = node.inputs[0], node.outputs[0]
    pads = pad_widths(node, axes.rank(data))
    for axis in range(axes.rank(data)):
        source, target = axes.of(data, axis), axes.of(output, axis)
        before, after = (0, 0) if pads is None else pads[axis]
        if pads is None or before < 0 or after < 0:
            for ids in (source, target):
                axes.freeze(ids, f"{title(node)} has widths that cannot be followed")
            continue
        axes.tie(source, target[before : before + len(source)])
        if (before or after) and node.attributes.get_string("mode", "constant") != "constant":
            axes.freeze(source, f"{title(node)} repeats elements of it")


def _resize_pad(node: ir.Node, cut: Cut) -> None:
    rank = len(cut.shape(node.inputs[0]))
    pads = pad_widths(node, rank)
    if pads is None:
        return
    new = []
    for axis, (before, after) in enumerate(pads):
        kept = cut.masks(node.outputs[0])[axis]
        if not kept.all():  # never where a width is negative: such an axis stays
            before, after = int(kept[:before].sum()), int(kept[len(kept) - after :].sum())
        new.append((before, after))
    cut.set_integers(node, 1, chain.from_iterable(zip(*new, strict=True)))
    if input_at(node, 3) is not None:
        cut.set_integers(node, 3, range(rank))


def _gather(node: ir.Node, axes: Axes) -> None:
    """1. The axes of the data that are not picked from pass.

    2. Of the picked axis, constant indices pass where they form a list; a single one must stay.
    3. A table of numbers that is looked up makes the channels of its last axes.
    """
    data, indices, output = node.inputs[0], node.inputs[1], node.outputs[0]
    rank, depth = axes.rank(data), axes.rank(indices)
    axis = node.attributes.get_int("axis", 0) % rank
    for other in range(rank):
        if other != axis:
            target = other if other < axis else other - 1 + depth
            axes.tie(axes.of(data, other), axes.of(output, target))
    picked = constant(indices)
    source = axes.of(data, axis)
    if picked is None or picked.ndim != 1:
        which = source if picked is None else source[picked.reshape(-1)]
        axes.freeze(which, f"{title(node)} picks from it")
        for target in range(axis, axis + depth):
            axes.freeze(axes.of(output, target), f"{title(node)} picks it")
    else:
        axes.tie(source[picked], axes.of(output, axis))
        axes.tie(axes.of(indices, 0), axes.of(output, axis))
    if picked is None and is_weight(data) and axis == 0 and rank == 2:
        axes.made.append(Made(node, axes.rank(output) - 1))


def _resize_gather(node: ir.Node, cut: Cut) -> None:
    picked = constant(node.inputs[1])
    axis = node.attributes.get_int("axis", 0)
    if picked is None:
        return
    kept = cut.masks(node.inputs[0])[axis]
    if not kept.all():
        place = np.cumsum(kept) - 1
        cut.edit.set_constant(node, 1, place[picked].astype(picked.dtype))


def _expand(node: ir.Node, axes: Axes) -> None:
    """As broadcasting; an axis that is repeated stays."""
    output = node.outputs[0]
    offset = axes.rank(output) - axes.rank(node.inputs[0])
    broadcast(axes, node.inputs[0], output)
    for axis, ids in enumerate(axes.all(output)):
        source = axis - offset
        if source < 0 or axes.size(node.inputs[0], source) != len(ids):
            axes.freeze(ids, f"{title(node)} repeats it")


def _tile(node: ir.Node, axes: Axes) -> None:
    """Every repetition of a channel belongs to it."""
    for source, target in zip(axes.all(node.inputs[0]), axes.all(node.outputs[0]), strict=True):
        if len(source):
            axes.tie(source, target.reshape(-1, len(source)))


def _resize(node: ir.Node, axes: Axes) -> None:
    """Resize: axes that keep their length pass, others stay."""
    for source, target in zip(axes.all(node.inputs[0]), axes.all(node.outputs[0]), strict=True):
        if len(source) == len(target):
            axes.tie(source, target)
        else:
            axes.freeze(source, f"{title(node)} changes its length")
            axes.freeze(target, f"{title(node)} changes its length")


def _resize_resize(node: ir.Node, cut: Cut) -> None:
    sizes = constant_ints(input_at(node, 3))
    if sizes is not None:
        shape = cut.shape(node.outputs[0])
        cut.set_integers(
            node, 3, (shape[i] for i in ints_attribute(node, "axes") or range(len(shape)))
        )


def _blocks(node: ir.Node, axes: Axes) -> None:
    """DepthToSpace, SpaceToDepth: the channels of a block belong to one (mode DCR or CRD)."""
    data, output = node.inputs[0], node.outputs[0]
    block = node.attributes.get_int("blocksize", 1) ** 2
    deep, flat = (data, output) if node.op_type == "DepthToSpace" else (output, data)
    channels = axes.of(deep, 1)
    crd = node.attributes.get_string("mode", "DCR") == "CRD"
    parts = channels.reshape(-1, block) if crd else channels.reshape(block, -1).T
    axes.tie(parts, axes.of(flat, 1)[:, None])
    for value in (data, output):
        for axis in (0, 2, 3):
            axes.freeze(axes.of(value, axis), f"{title(node)} moves elements over it")


RULES = {
    "Transpose": Rule(_transpose),
    "Concat": Rule(_concat),
    "Split": Rule(_concat, _resize_split),
    "Slice": Rule(_slice, _resize_slice),
    "Pad": Rule(_pad, _resize_pad),
    "Gather": Rule(_gather, _resize_gather),
    "Expand": Rule(_expand, resize_shape),
    "Tile": Rule(_tile),
    "Resize": Rule(_resize, _resize_resize),
    **dict.fromkeys(("DepthToSpace", "SpaceToDepth"), Rule(_blocks)),
}
