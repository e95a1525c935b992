"""Which nodes find the nearest row of a codebook, as vector quantization does.

The squares of a distance are many times as large as what tells two rows apart, and a row that is
chosen wrongly is no small error: of 64 rows of 16 numbers 8 bits choose most of them wrongly.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.shapes import static_shape
from snapq.operators import Family, Trait, having, in_families
from snapq.quantization.qdq.decisions import constant, is_float

__all__ = ["nearest_rows"]

_FROM = having(Trait.SUMS_CHANNELS)
_PRODUCTS = ("MatMul", "Gemm")
_THROUGH = (
    *in_families(Family.ARITHMETIC),
    *having(Trait.MOVES),
    *("Clip", "Max", "Relu", "Sqrt", "Pow", "ReduceSum", "ReduceL2", "ReduceSumSquare"),
)
_LEAST_ROWS = 16
"""A table of fewer is none of codes."""


def nearest_rows(graph: ir.Graph) -> frozenset[str]:
    """Names of the nodes from the layer in front to the choice of a row.

    A choice is an ArgMin, an ArgMax or TopK that looks up rows of a constant, or one of as many
    rows as such a one, as the last stage of several is. In front of it is one product, then a
    layer.
    """
    sizes = {node: rows for node in graph if (rows := _rows(node)) >= _LEAST_ROWS}
    looked_up = {rows for node, rows in sizes.items() if _looks_up(node.outputs[-1])}
    found: set[str] = set()
    for node, rows in sizes.items():
        if node.op_type == "ArgMin" or rows in looked_up:
            found |= _in_front(node)
    return frozenset(found)


def _rows(node: ir.Node) -> int:
    """Of how many elements one is chosen; 0 where none is."""
    if node.op_type not in ("ArgMin", "ArgMax", "TopK"):
        return 0
    shape = static_shape(node.inputs[0])
    axis = node.attributes.get_int("axis", -1 if node.op_type == "TopK" else 0)
    return int(shape[axis]) if shape else 0


def _looks_up(places: ir.Value) -> bool:
    """Whether a value, moved or not, says which rows of a constant to take."""
    waiting = [places]
    while waiting:
        for user, index in waiting.pop().uses():
            if user.op_type == "Gather" and index == 1:
                table = constant(user.inputs[0])
                rows = table.numpy().shape if table is not None else ()
                if len(rows) > 1 and rows[0] >= _LEAST_ROWS:
                    return True
            elif index == 0 and (user.op_type == "Cast" or user.op_type in having(Trait.MOVES)):
                waiting.append(user.outputs[0])
    return False


def _in_front(choice: ir.Node) -> set[str]:
    found: set[str] = set()
    waiting = [(choice.inputs[0], False)]
    while waiting:
        value, multiplied = waiting.pop()
        maker = value.producer() if value is not None else None
        if maker is None or not is_float(value) or str(maker.name) in found:
            continue
        product = maker.op_type in _PRODUCTS and not multiplied
        if not product and maker.op_type not in (*_THROUGH, *_FROM):
            continue
        found.add(str(maker.name))
        if product or maker.op_type in _THROUGH:
            waiting += [(given, multiplied or product) for given in maker.inputs]
    return found
