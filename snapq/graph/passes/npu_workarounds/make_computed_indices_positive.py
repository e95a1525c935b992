"""Counts indices from the front that are fed or computed, as the NPU does not count from the end.

1. `Gather(x, i)`, GatherElements, ScatterElements, GatherND and ScatterND take `i`, with the size
   added where it is below 0, where nothing shows that no index is negative: not for places of
   maxima, positions, remainders. Nor where a fed number picks a row of a table of constants: tokens
   count from the front, and to look at them would cost a small transformer a tenth of its time.

A remainder would do, but the NPU's is computed in fp16: of more than 2,048 rows it picks others (-2
dB), and it takes longer (300 of 400 rows: 39 thousand cycles, and 34 so; simulator and estimate of
QAIRT 2.51, QCS9075).

Source: Gather-13 of ONNX: indices are within [-size, size - 1].
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, input_at, producer
from snapq.graph.passes.base import Result
from snapq.graph.shapes import Shape, static_shape
from snapq.operators import Role, Trait, having, spec

OPERATORS = having(role=Role.INDICES)

_SIGNED = (ir.DataType.INT64, ir.DataType.INT32)
_RESHAPES = ("Cast", "Identity", *having(Trait.RESHAPES))
_MAX_STEPS = 12


def apply(node: ir.Node, edit: Editor) -> Result:
    """Counts the indices of one node from the front."""
    indices, shape = node.inputs[1], static_shape(node.inputs[0])
    if indices is None or shape is None or indices.dtype not in _SIGNED:
        return False
    if never_negative(indices) or _picks_a_row(node):
        return False
    if spec(node.op_type).has(Trait.HAS_AXIS):
        sizes: Shape = (shape[node.attributes.get_int("axis", 0)],)
    else:
        first, depth = node.attributes.get_int("batch_dims", 0), static_shape(indices)
        if depth is None:
            return False
        sizes = shape[first : first + depth[-1]]
    added = np.asarray(sizes[0] if len(sizes) == 1 else sizes, indices.dtype.numpy())
    node.replace_input_with(1, from_the_front(indices, added, edit))
    return True


def from_the_front(value: ir.Value, size: np.ndarray, edit: Editor) -> ir.Value:
    """Whole numbers with the size, of their type, added where they are below 0."""
    zero = np.array(0, size.dtype)
    return edit.op("Add", value, edit.op("Where", edit.op("Less", value, zero), size, zero))


def _counts_from_the_front(addition: ir.Node) -> bool:
    """Whether an Add is one that `from_the_front` wrote, or an exporter."""
    value, choice = addition.inputs[0], producer(addition.inputs[1], "Where")
    below = producer(choice.inputs[0], "Less") if choice is not None else None
    if choice is None or below is None or below.inputs[0] is not value:
        return False
    zero = constant(below.inputs[1])
    return zero is not None and not zero.any() and all(map(never_negative, choice.inputs[1:]))


def _picks_a_row(node: ir.Node) -> bool:
    """Whether a Gather looks fed numbers up in a table of constants, as a layer of tokens does."""
    if node.op_type != "Gather" or constant(node.inputs[0]) is None:
        return False
    value = node.inputs[1]
    while value is not None and (maker := value.producer()) is not None:
        if maker.op_type not in _RESHAPES:
            return False
        value = maker.inputs[0]
    return value is not None and value.is_graph_input()


def never_negative(value: ir.Value | None) -> bool:
    """Whether the graph shows that no element is negative."""
    return _never_negative(value, _MAX_STEPS)


def _never_negative(value: ir.Value | None, steps: int) -> bool:
    held = constant(value)
    if held is not None:
        return bool(np.all(held >= 0))
    if value is None or steps == 0:
        return False
    if value.dtype is not None and not value.dtype.is_signed():
        return True
    node = value.producer()
    if node is None or node.domain != "":
        return False
    if spec(node.op_type).has(Trait.NOT_NEGATIVE):
        return True
    match node.op_type:
        case "TopK":
            return value is node.outputs[1] or _never_negative(node.inputs[0], steps - 1)
        case "Add" if _counts_from_the_front(node):
            return True
        case "Mod":
            return _never_negative(node.inputs[1], steps - 1)
        case "Clip":
            return input_at(node, 1) is not None and _never_negative(node.inputs[1], steps - 1)
        case "Range":
            return _never_negative(node.inputs[0], steps - 1) and _never_negative(
                node.inputs[2], steps - 1
            )
    row = spec(node.op_type)
    data = (item for index, item in enumerate(node.inputs) if row.role(index).quantized)
    return row.has(Trait.KEEPS_SIGN) and all(_never_negative(item, steps - 1) for item in data)
