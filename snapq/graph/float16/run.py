"""Applies the passes for fp16 to the nodes of a graph that stay in float."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import onnx_ir as ir

from snapq.graph.edit import Editor, is_float, remove_unused_constants
from snapq.graph.float16.order import BEHIND, ORDER
from snapq.graph.inference import infer_shapes
from snapq.graph.passes.base import Pass

__all__ = ["write_for_float16"]


def write_for_float16(model: ir.Model, nodes: Iterable[ir.Node] | None = None) -> Counter[str]:
    """Rewrites what the NPU computes wrongly in fp16, in place; results in float are the same.

    Args:
        model: a prepared model, with Q and DQ or without.
        nodes: of its main graph, those that are float; all where not given. What is added has
            the metadata of the node that it is written for.

    Returns:
        How often each pass applied.
    """
    edit = Editor(model.graph)
    applied: Counter[str] = Counter()
    visited = tuple(model.graph if nodes is None else nodes)
    for modules in (ORDER, BEHIND):
        passes = [
            Pass(module.__name__.rpartition(".")[2], module.OPERATORS, module.apply)
            for module, _ in modules
        ]
        for node in visited:
            _meet(node, passes, edit, applied)
    if applied:
        remove_unused_constants(model.graph)
        infer_shapes(model)
    return applied


def _meet(node: ir.Node, passes: Sequence[Pass], edit: Editor, applied: Counter[str]) -> None:
    """Shows a node to passes, and what one of them adds to those behind it."""
    for index, item in enumerate(passes):
        if node.graph is None or node.domain != "" or not node.inputs:
            return
        if node.op_type not in item.operators or not is_float(node.inputs[0]):
            continue
        known = set(node.graph)
        if not item(node, edit):
            continue
        applied[item.name] += 1
        for made in [one for one in edit.graph if one not in known]:
            made.metadata_props.update(node.metadata_props)
            _meet(made, passes[index + 1 :], edit, applied)
