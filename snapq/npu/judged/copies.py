"""What all rewrites have in common: a copy of a model, changed at some nodes."""

from __future__ import annotations

from collections.abc import Callable, Collection

import onnx_ir as ir

from snapq.graph.edit import Editor
from snapq.graph.inference import infer_shapes

__all__ = ["changed_copy"]


def changed_copy(
    model: ir.Model, names: Collection[str], change: Callable[[ir.Node, Editor], None]
) -> ir.Model:
    """A copy in which `change` was made at the nodes of these names, with shapes inferred anew."""
    result = model.clone()
    edit = Editor(result.graph)
    for node in tuple(result.graph):
        if node.name in names:
            change(node, edit)
    infer_shapes(result)
    return result
