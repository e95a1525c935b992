"""Which tensors hold the same in two forms of a network that compute the same."""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import subgraphs

__all__ = ["kept"]


def kept(before: ir.Model, now: ir.Model) -> set[str]:
    """Names of the tensors of the main graph that hold in `now` what they held in `before`.

    1. What a rewrite changes itself, it gives another name.
    2. A node that reads what changed and has other constants than before takes the change back.
    3. A node that reads what changed and has the same constants, such as a Reshape, passes it on,
       and so may one that holds a graph.
    """
    old = {str(value.name): node for node in before.graph for value in node.outputs}
    fed = {str(value.name) for value in before.graph.inputs}
    same = {str(value.name) for value in now.graph.inputs} & fed
    for node in now.graph:
        read = {str(value.name) for value in node.inputs if value and not value.is_initializer()}
        passed = any(True for _ in subgraphs(node)) or not read <= same
        for name in (str(value.name) for value in node.outputs):
            was = old.get(name)
            if was is not None and not (passed and _constants(was) == _constants(node)):
                same.add(name)
    return same


def _constants(node: ir.Node) -> list[str | None]:
    return [value.name if value and value.is_initializer() else None for value in node.inputs]
