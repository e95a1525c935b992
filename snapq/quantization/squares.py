"""Squares on their way to a root: the one place where 8 bits lose nearly everything.

`sqrt(a^2 + b^2)`, the magnitude of a spectrum or a norm, has the range of what goes in, but what
flows inside has the square of it: of 48 dB that 8 bits hold, 24 are left, and quiet sounds are all
zero. With 16 bits inside, nothing is lost.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.quantization.decisions import constant

__all__ = ["squared"]

_SUMS = frozenset(
    {"Add", "ReduceSum", "ReduceMean", "Reshape", "Transpose", "Squeeze", "Unsqueeze"}
)


def squared(graph: ir.Graph) -> frozenset[str]:
    """Names of the nodes that square, sum up squares, and take roots of them."""
    found: set[str] = set()
    for node in graph:
        if node.op_type == "Sqrt":
            inside = _inside(node)
            if inside is not None:
                found |= {str(node.name), *inside}
    return frozenset(found)


def _inside(root: ir.Node) -> set[str] | None:
    """The nodes between squares and their root; None where something else comes in."""
    names: set[str] = set()
    squares = 0
    waiting = [root.inputs[0]]
    while waiting:
        value = waiting.pop()
        if constant(value) is not None:
            continue
        node = value.producer() if value is not None else None
        if node is None:
            return None
        names.add(str(node.name))
        if _is_square(node):
            squares += 1
        elif node.op_type in _SUMS:
            waiting += [given for given in node.inputs if given is not None]
        else:
            return None
    return names if squares else None


def _is_square(node: ir.Node) -> bool:
    if node.op_type == "Mul":
        return node.inputs[0] is node.inputs[1]
    exponent = constant(node.inputs[1]) if node.op_type == "Pow" else None
    return exponent is not None and exponent.size == 1 and float(exponent.numpy().item()) == 2.0
