"""What student and teacher have in common: the part in front of the first change.

A graph that was cut in its middle still computes the original's values before that. There is
nothing to win back there: the teacher's values are taken as they are, and only what lies behind is
run, differentiated and trained. Where half of the network is in front, a step takes half the time.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

__all__ = ["common_values", "frontier"]


def common_values(student: ir.Model, teacher: ir.Model) -> frozenset[str]:
    """Names of the values that both graphs compute in the same way, inputs and constants included.

    Nodes are the same where operator, attributes, and the names of inputs and outputs are, and
    their inputs are common too.
    """
    inputs = {str(value.name) for value in teacher.graph.inputs}
    common = {str(value.name) for value in student.graph.inputs} & inputs
    theirs = teacher.graph.initializers
    common |= {
        name
        for name, value in student.graph.initializers.items()
        if name in theirs and _equal(value, theirs[name])
    }
    nodes = {_names(node)[1]: node for node in teacher.graph}
    for node in student.graph:
        inputs_here, outputs = _names(node)
        other = nodes.get(outputs)
        if (
            other is not None
            and (node.domain, node.op_type) == (other.domain, other.op_type)
            and inputs_here == _names(other)[0]
            and _attributes(node) == _attributes(other)
            and common.issuperset(name for name in inputs_here if name)
        ):
            common.update(outputs)
    return frozenset(common)


def frontier(student: ir.Model, common: frozenset[str]) -> tuple[str, ...]:
    """Common values that a node reads which gives something that is not common.

    Constants and inputs of the graph are left out; they are there in any case.
    """
    found: dict[str, None] = {}
    for node in student.graph:
        if common.issuperset(_names(node)[1]):
            continue
        for value in node.inputs:
            if value is not None and value.producer() is not None and value.name in common:
                found[str(value.name)] = None
    return tuple(found)


def _names(node: ir.Node) -> tuple[tuple[str, ...], tuple[str, ...]]:
    inputs = tuple("" if value is None else str(value.name) for value in node.inputs)
    return inputs, tuple(str(value.name) for value in node.outputs)


def _attributes(node: ir.Node) -> dict[str, str]:
    return {name: str(attribute.value) for name, attribute in node.attributes.items()}


def _equal(left: ir.Value, right: ir.Value) -> bool:
    if left.const_value is None or right.const_value is None:
        return False
    return left.const_value is right.const_value or np.array_equal(
        left.const_value.numpy(), right.const_value.numpy()
    )
