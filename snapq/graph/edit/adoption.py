"""The body of a node, such as the branch of an If, put in the place of the node."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from snapq.graph.edit.editor import Editor

__all__ = ["adopt_copy", "adopt_graph"]


def adopt_graph(body: ir.Graph, edit: Editor) -> list[ir.Value]:
    """Moves the nodes and constants of `body`, which is left empty, in front of the anchor.

    Returns:
        The values that were the outputs of `body`; of one that another graph computes, that.
    """
    results = list(body.outputs)
    body.outputs.clear()
    for name, value in tuple(body.initializers.items()):
        assert value.const_value is not None
        moved = edit.constant(value.const_value.numpy(), name)
        value.replace_all_uses_with(moved)
        results = [moved if item is value else item for item in results]
    for inner in tuple(body):
        body.remove(inner)
        edit.adopt(inner)
    return results


def adopt_copy(body: ir.Graph, feeds: Sequence[ir.Value], edit: Editor) -> list[ir.Value]:
    """Puts a copy of `body`, fed with values of the graph, in front of the anchor.

    Args:
        body: left as it is.
        feeds: a value for each of its inputs.
        edit: of the graph that the copy goes to.

    Returns:
        What the copy computes, in the order of the outputs of `body`.
    """
    copy = body.clone(allow_outer_scope_values=True)
    given = dict(zip(copy.inputs, feeds, strict=True))
    for node in copy:
        for output in node.outputs:
            output.shape = None
    outputs = list(copy.outputs)
    copy.outputs.clear()
    for value, feed in given.items():
        value.replace_all_uses_with(feed)
    copy.outputs.extend(value for value in dict.fromkeys(outputs) if value not in given)
    kept = list(copy.outputs)
    moved = dict(zip(kept, adopt_graph(copy, edit), strict=True))
    return [given[value] if value in given else moved[value] for value in outputs]
