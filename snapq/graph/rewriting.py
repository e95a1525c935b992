"""The table of rewrites, which is the folder `rewrites`, and the loop that applies them.

A rewrite is a module with three things: a docstring whose first line says what it does and whose
numbered rules are its contract; `RULE`, which says when it runs and on which operators; and
`rewrite(node, edit)`, which decides about one node and returns early on every case that it
leaves alone.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache

import onnx_ir as ir
import onnx_ir.passes.common as common

from snapq.errors import ConfigError, nearest
from snapq.graph import folding, rewrites
from snapq.graph.completion import record_shapes
from snapq.graph.edits import Editor, is_dead, remove_dead_nodes
from snapq.graph.inference import infer_shapes
from snapq.graph.opset import settle_opset

_MAX_SWEEPS = 30


class Phase(IntEnum):
    """When a rewrite runs: each phase goes on until nothing changes."""

    SIMPLIFY = 0
    """Removes, merges and puts into one canonical form."""
    FUSE = 1
    """Finds decomposed operators and makes one of them."""
    FOLD = 2
    """Moves constants into layers, which would hide the patterns that FUSE looks for."""
    LOWER = 3
    """Writes operators that the NPU lacks with those that it has."""


_WITH = {
    Phase.SIMPLIFY: {Phase.SIMPLIFY},
    Phase.FUSE: {Phase.SIMPLIFY, Phase.FUSE},
    Phase.FOLD: {Phase.SIMPLIFY, Phase.FOLD},
    Phase.LOWER: {Phase.SIMPLIFY, Phase.FOLD, Phase.LOWER},
}


@dataclass(frozen=True)
class Rule:
    """When a rewrite runs, and which operators of the standard domain it looks at."""

    phase: Phase
    operators: tuple[str, ...]


@dataclass(frozen=True)
class Rewrite:
    """One entry of the table: a name for `skip`, one line for people, and the work."""

    name: str
    summary: str
    rule: Rule
    apply: Callable[[ir.Node, Editor], bool]


@cache
def all_rewrites() -> tuple[Rewrite, ...]:
    """Every rewrite, by phase and then by name."""
    found = []
    for entry in pkgutil.iter_modules(rewrites.__path__):
        module = importlib.import_module(f"{rewrites.__name__}.{entry.name}")
        summary = (module.__doc__ or "").strip().splitlines()[0]
        found.append(Rewrite(entry.name, summary, module.RULE, module.rewrite))
    return tuple(sorted(found, key=lambda item: (item.rule.phase, item.name)))


def chosen_rewrites(skip: Sequence[str]) -> tuple[Rewrite, ...]:
    """Every rewrite but those named.

    Raises:
        ConfigError: a name in `skip` is no rewrite.
    """
    names = {item.name for item in all_rewrites()}
    for name in skip:
        if name not in names:
            match = nearest(name, names)
            raise ConfigError(
                f"There is no rewrite '{name}'.",
                where="prepare.skip",
                mend=f"Did you mean '{match}'?" if match else f"There are: {sorted(names)}.",
            )
    return tuple(item for item in all_rewrites() if item.name not in skip)


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
