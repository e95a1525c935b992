"""Normalizations, pooling, reductions and softmax: operators that compute along an axis."""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from snapq.graph.edit import reduced_axes
from snapq.operators import Family, Role, Trait, in_families, spec
from snapq.pruning.axes import Axes, Summed
from snapq.pruning.rules.base import Rule, other_axes, same, title


def _per_channel(node: ir.Node, axes: Axes) -> None:
    """BatchNormalization, InstanceNormalization: parameters belong to axis 1; axes stay."""
    same(axes, node.inputs[0], node.outputs[0])
    for value in node.inputs[1:]:
        if axes.knows(value):
            axes.tie(axes.of(value, 0), axes.of(node.outputs[0], 1))


def _instance(node: ir.Node, axes: Axes) -> None:
    """InstanceNormalization: as BatchNormalization, with a mean over the axes behind."""
    _per_channel(node, axes)
    for ids in axes.all(node.inputs[0])[2:]:
        axes.freeze(ids, f"{title(node)} takes its mean over it")


def _layer_norm(node: ir.Node, axes: Axes) -> None:
    """LayerNormalization, RMSNormalization: the axes from `axis` on must stay, others pass.

    Without one channel the mean of all others would change.
    """
    data, output = node.inputs[0], node.outputs[0]
    same(axes, data, output)
    rank = axes.rank(data)
    for axis in range(node.attributes.get_int("axis", -1) % rank, rank):
        axes.freeze(axes.of(data, axis), f"{title(node)} takes its mean over it")
    for value in node.outputs[1:]:
        axes.freeze_value(value, f"{title(node)} gives it out")


def _along(default: int) -> Callable[[ir.Node, Axes], None]:
    """Operators that compute along one axis, which must stay; the others pass."""

    def tie(node: ir.Node, axes: Axes) -> None:
        data = node.inputs[0]
        axis = node.attributes.get_int("axis", default) % axes.rank(data)
        axes.freeze(axes.of(data, axis), f"{title(node)} computes along it")
        for output in node.outputs:
            if axes.knows(output) and axes.rank(output) == axes.rank(data):
                other_axes(axes, data, output, axis)
            else:
                axes.freeze_value(data, f"{title(node)} removes an axis")

    return tie


def _cumulative(node: ir.Node, axes: Axes) -> None:
    """CumSum along a constant axis."""
    same(axes, node.inputs[0], node.outputs[0])
    axes.freeze_value(node.inputs[0], f"{title(node)} adds along an axis")


def _pool(node: ir.Node, axes: Axes) -> None:
    """Pooling: batch and channels pass, the axes behind them stay."""
    data = node.inputs[0]
    for output in node.outputs:
        if not axes.knows(output):
            continue
        for axis in (0, 1):
            axes.tie(axes.of(data, axis), axes.of(output, axis))
        for value in (data, output):
            for ids in axes.all(value)[2:]:
                axes.freeze(ids, f"{title(node)} runs over it")


def _reduce(node: ir.Node, axes: Axes) -> None:
    """Axes that are not reduced, or searched, pass. A sum may lose zeros, anything else may not."""
    data, output = node.inputs[0], node.outputs[0]
    searches = node.op_type in _SEARCHES
    axis = node.attributes.get_int("axis", 0)
    reduced = (axis % axes.rank(data),) if searches else reduced_axes(node)
    if reduced is None:
        for value in (data, output):
            axes.freeze_value(value, f"{title(node)} has axes that are not constant")
        return
    keeps = bool(node.attributes.get_int("keepdims", 1))
    target = 0
    for axis in range(axes.rank(data)):
        if axis not in reduced:
            axes.tie(axes.of(data, axis), axes.of(output, target))
        elif spec(node.op_type).has(Trait.IGNORES_ZEROS):
            axes.summed.append(Summed(node, 0, axis))
        else:
            what = "searches" if searches else "reduces"
            axes.freeze(axes.of(data, axis), f"{title(node)} {what} it")
        target += axis not in reduced or keeps


def _top_k(node: ir.Node, axes: Axes) -> None:
    """TopK: the axis that it sorts stays, others pass."""
    data = node.inputs[0]
    sorted_axis = node.attributes.get_int("axis", -1) % axes.rank(data)
    for value in (data, *node.outputs):
        axes.freeze(axes.of(value, sorted_axis), f"{title(node)} sorts it")
    for output in node.outputs:
        other_axes(axes, data, output, sorted_axis)


_SEARCHES = ("ArgMax", "ArgMin")
# A pool with regions of interest moves elements over the batch.
_POOLS = [op for op in in_families(Family.POOLING) if spec(op).roles == (Role.DATA,)]


RULES = {
    "BatchNormalization": Rule(_per_channel),
    "InstanceNormalization": Rule(_instance),
    **dict.fromkeys(("LayerNormalization", "RMSNormalization"), Rule(_layer_norm)),
    **dict.fromkeys(in_families(Family.SOFTMAX), Rule(_along(-1))),
    "LpNormalization": Rule(_along(-1)),
    "CumSum": Rule(_cumulative),
    **dict.fromkeys(_POOLS, Rule(_pool)),
    **dict.fromkeys((*in_families(Family.REDUCTION), *_SEARCHES), Rule(_reduce)),
    "TopK": Rule(_top_k),
}
