"""The loop that applies the passes, in the order of `order`.

A rewrite is a module with three things: a docstring whose first line says what it does and whose
numbered rules are its contract; `RULE`, which says when it runs and on which operators; and
`rewrite(node, edit)`, which decides about one node and returns early on every case that it
leaves alone.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Sequence
from functools import cache

import onnx_ir as ir
import onnx_ir.passes.common as common

from snapq.errors import ConfigError, nearest
from snapq.graph import folding
from snapq.graph.completion import record_shapes
from snapq.graph.edit import Editor, is_dead, remove_dead_nodes
from snapq.graph.inference import infer_shapes
from snapq.graph.opset import settle_opset
from snapq.graph.passes.base import Phase, Rewrite
from snapq.graph.passes.order import OLD_NAMES, ORDER

_MAX_SWEEPS = 30

_WITH = {
    Phase.SIMPLIFY: {Phase.SIMPLIFY},
    Phase.FUSE: {Phase.SIMPLIFY, Phase.FUSE},
    Phase.FOLD: {Phase.SIMPLIFY, Phase.FOLD},
    Phase.LOWER: {Phase.SIMPLIFY, Phase.FOLD, Phase.LOWER},
}


@cache
def all_rewrites() -> tuple[Rewrite, ...]:
    """Every rewrite, in the order in which they apply."""
    found = []
    for place in (place for places in ORDER.values() for place in places):
        module = importlib.import_module(f"snapq.graph.passes.{place}")
        summary = (module.__doc__ or "").strip().splitlines()[0]
        found.append(Rewrite(place.rpartition(".")[2], summary, module.RULE, module.rewrite))
    return tuple(found)


def chosen_rewrites(skip: Sequence[str]) -> tuple[Rewrite, ...]:
    """Every rewrite but those named.

    Raises:
        ConfigError: a name in `skip` is no rewrite.
    """
    names = {item.name for item in all_rewrites()}
    chosen = {OLD_NAMES.get(name, name) for name in skip}
    for name in skip:
        if OLD_NAMES.get(name, name) not in names:
            match = nearest(name, names)
            raise ConfigError(
                f"There is no rewrite '{name}'.",
                where="prepare.skip",
                hint=f"Did you mean '{match}'?" if match else f"There are: {sorted(names)}.",
            )
    return tuple(item for item in all_rewrites() if item.name not in chosen)


def apply_rewrites(model: ir.Model, chosen: Sequence[Rewrite]) -> Counter[str]:
    """Applies rewrites in place, phase by phase, until nothing changes; counts them by name.

    Args:
        model: a model that `clean` has left.
        chosen: the rewrites.
    """
    applied: Counter[str] = Counter()
    for phase in Phase:
        allowed = _WITH[phase]
        active = [item for item in chosen if item.rule.phase in allowed]
        for _ in range(_MAX_SWEEPS):
            changes = _sweep(model.graph, active)
            applied.update(changes)
            if not changes:
                break
            settle_opset(model)
            clean(model, applied)
    return applied


def clean(model: ir.Model, applied: Counter[str]) -> None:
    """Folds constants, merges equal nodes and removes dead ones until nothing changes."""
    for _ in range(_MAX_SWEEPS):
        infer_shapes(model)
        folded = folding.fold_constants(model)
        applied.update({"fold_constants": folded} if folded else {})
        common.DeduplicateInitializersPass()(model)
        common.CommonSubexpressionEliminationPass()(model)
        remove_dead_nodes(model.graph)
        common.RemoveUnusedNodesPass()(model)
        if not folded and not (_asks_for_shapes(model.graph) and record_shapes(model)):
            return


def _asks_for_shapes(graph: ir.Graph) -> bool:
    """Whether the graph computes with shapes that inference could not find."""
    return any(node.op_type in ("Shape", "Size", "If") and node.domain == "" for node in graph)


def _sweep(graph: ir.Graph, active: Sequence[Rewrite]) -> Counter[str]:
    by_operator: dict[str, list[Rewrite]] = {}
    for item in active:
        for operator in item.rule.operators:
            by_operator.setdefault(operator, []).append(item)
    edit = Editor(graph)
    changes: Counter[str] = Counter()
    for node in graph:
        for item in by_operator.get(node.op_type, ()) if node.domain == "" else ():
            if is_dead(node):
                break
            edit.begin(node)
            if item.apply(node, edit):
                changes[item.name] += 1
                edit.remove_if_dead(node)
                if node.graph is None:
                    break
    return changes
