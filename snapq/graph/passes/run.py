"""The loop that applies the passes, in the order of `order`."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Sequence
from functools import cache

import onnx_ir as ir
import onnx_ir.passes.common as common

from snapq.errors import ConfigError, did_you_mean
from snapq.graph import folding
from snapq.graph.completion import record_shapes
from snapq.graph.edit import Editor, is_dead, remove_dead_nodes
from snapq.graph.inference import infer_shapes
from snapq.graph.opset import settle_opset
from snapq.graph.passes.base import Pass, Skipped, SkippedNode
from snapq.graph.passes.order import OLD_NAMES, ORDER, RUNS_WITH, Phase

_MAX_SWEEPS = 30


@cache
def passes_of(phase: Phase) -> tuple[Pass, ...]:
    """The passes of one phase, in their order."""
    found = []
    for place in ORDER[phase]:
        module = importlib.import_module(f"snapq.graph.passes.{place}")
        keeps_shapes = getattr(module, "KEEPS_SHAPES", True)
        name = place.rpartition(".")[2]
        found.append(Pass(name, module.OPERATORS, module.apply, keeps_shapes))
    return tuple(found)


def all_passes() -> tuple[Pass, ...]:
    """Every pass, in the order in which they apply."""
    return tuple(item for phase in Phase for item in passes_of(phase))


def skipped_names(skip: Sequence[str]) -> frozenset[str]:
    """The names of the passes that `prepare.skip` leaves out, whether it has new or old ones.

    Raises:
        ConfigError: a name in `skip` is no pass.
    """
    names = {item.name for item in all_passes()}
    for name in skip:
        if OLD_NAMES.get(name, name) not in names:
            raise ConfigError(
                f"There is no pass '{name}'.",
                where="prepare.skip",
                hint=did_you_mean(name, names, f"There are: {', '.join(sorted(names))}."),
            )
    return frozenset(OLD_NAMES.get(name, name) for name in skip)


def apply_passes(
    model: ir.Model, without: frozenset[str] = frozenset()
) -> tuple[Counter[str], tuple[SkippedNode, ...]]:
    """Applies passes in place, phase by phase, until nothing changes.

    Args:
        model: a model that `clean` has left.
        without: names of passes to leave out.

    Returns:
        How often each pass applied, and the nodes that one nearly matched when its phase ended.
    """
    applied: Counter[str] = Counter()
    skipped: dict[tuple[str, str], SkippedNode] = {}
    for phase in Phase:
        active = [
            item for own in RUNS_WITH[phase] for item in passes_of(own) if item.name not in without
        ]
        for _ in range(_MAX_SWEEPS):
            changes, near = _sweep(model.graph, active)
            applied.update(changes)
            if not changes:
                skipped.update({(item.pass_name, item.node): item for item in near})
                break
            settle_opset(model)
            clean(model, applied)
    return applied, tuple(skipped.values())


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


def _sweep(graph: ir.Graph, active: Sequence[Pass]) -> tuple[Counter[str], list[SkippedNode]]:
    by_operator: dict[str, list[Pass]] = {}
    for item in active:
        for operator in item.operators:
            by_operator.setdefault(operator, []).append(item)
    edit = Editor(graph)
    changes: Counter[str] = Counter()
    skipped: list[SkippedNode] = []
    for node in graph:
        for item in by_operator.get(node.op_type, ()) if node.domain == "" else ():
            if is_dead(node):
                break
            result = item(node, edit)
            if isinstance(result, Skipped):
                skipped.append(SkippedNode(item.name, str(node.name), result.reason))
            if result:
                changes[item.name] += 1
                if node.graph is None:
                    break
    return changes, skipped
