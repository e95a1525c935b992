"""The rules of all operators; one without a rule bars cuts of everything that it touches."""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import is_op, subgraphs
from snapq.pruning.axes import Axes
from snapq.pruning.rules import (
    elementwise,
    layers,
    movement,
    normalization,
    quantization,
    reshaping,
)
from snapq.pruning.rules.base import Cut, Rule, title

RULES: dict[str, Rule] = {
    **elementwise.RULES,
    **layers.RULES,
    **movement.RULES,
    **normalization.RULES,
    **quantization.RULES,
    **reshaping.RULES,
}


def tie(node: ir.Node, axes: Axes) -> None:
    """Applies the rule of a node; bars what no rule can follow."""
    rule = RULES.get(node.op_type) if is_op(node, node.op_type) else None
    present = _present(node)
    # What the branches or the body of a control-flow node read.
    inside = [
        value
        for graph in subgraphs(node)
        for value in (*(v for inner in graph.all_nodes() for v in inner.inputs), *graph.outputs)
    ]
    if rule is None or inside:
        _bar([*present, *inside], axes, f"{title(node)} has no rule")
    elif not all(axes.knows(value) for value in present):
        _bar(present, axes, f"{title(node)} has a tensor of unknown shape")
    else:
        rule.tie(node, axes)


def resize(node: ir.Node, cut: Cut) -> None:
    """Changes what a node says of the numbers of channels, after a cut."""
    rule = RULES.get(node.op_type) if is_op(node, node.op_type) else None
    followed = all(cut.knows(value) for value in _present(node))
    if rule is not None and rule.resize is not None and followed:
        rule.resize(node, cut)


def _present(node: ir.Node) -> list[ir.Value | None]:
    return [value for value in (*node.inputs, *node.outputs) if value is not None and value.name]


def _bar(values: list[ir.Value | None], axes: Axes, reason: str) -> None:
    for value in values:
        axes.freeze_value(value, reason)


__all__ = ["RULES", "resize", "tie"]
