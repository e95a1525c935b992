"""Tells of whole numbers that the NPU computes otherwise than the CPU.

The NPU holds int64 in 32 bits, its sums and products stop at the ends of int32, where ONNX goes on
(int64) or around (int32), and what compares or adds up many numbers goes through float32, which is
exact to 2^24. Less, Equal, Add, Mul, Div, Min and Max are exact up to there (simulator of QAIRT
2.51, v68 to v81). Nothing is told of numbers that only pick rows.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from snapq.graph.edit import constant
from snapq.graph.integer_ranges import IntegerRanges
from snapq.operators import Family, Trait, spec_of

__all__ = ["integer_notes"]

_LARGEST = 2**31 - 1
_EXACT = 2**24
_SHOWN = 5
_INTEGERS = (ir.DataType.INT32, ir.DataType.INT64)
_THROUGH_FLOAT = ("ReduceSum", "ArgMax", "ArgMin", "TopK", "CumSum")
_NARROWED = (
    "the NPU holds int64 in 32 bits and cuts off the rest. Keep numbers within 32 bits, or do this "
    "part on the CPU"
)
_STOPS = (
    "the NPU's integers stop at 2,147,483,647, where those of the CPU go on. Keep what goes in "
    "small, or do this part on the CPU"
)
_INEXACT = (
    "the NPU compares and sums integers up in float32, which is exact up to 16,777,216. Keep "
    "numbers below that, or do this part on the CPU"
)


def integer_notes(graph: ir.Graph) -> tuple[str, ...]:
    """One sentence for each kind of difference, with the nodes; fed numbers are below 2^30."""
    ranges = IntegerRanges()
    found: dict[str, list[str]] = {}
    for node in graph:
        for text in _of(node, ranges):
            found.setdefault(text, []).append(f"{node.name} ({node.op_type})")
    return tuple(f"{_listed(names)}: {text}." for text, names in found.items())


def _of(node: ir.Node, ranges: IntegerRanges) -> Iterator[str]:
    row = spec_of(node)
    whole = [
        value
        for index, value in enumerate(node.inputs)
        if value is not None and value.dtype in _INTEGERS and row.role(index).quantized
    ]
    if not whole or node.domain != "":
        return
    computes = not row.has(Trait.MOVES) and node.op_type != "Cast"
    if computes and any(_is_narrowed(value, ranges) for value in whole):
        yield _NARROWED
    elif row.family is Family.ARITHMETIC and _beyond(ranges.of(node.outputs[0]), _LARGEST):
        yield _STOPS
    if node.op_type in _THROUGH_FLOAT:
        sums = not row.has(Trait.HAS_AXIS)
        seen = node.outputs[0] if sums else whole[0]
        if _beyond(ranges.of(seen), _EXACT):
            yield _INEXACT


def _is_narrowed(value: ir.Value, ranges: IntegerRanges) -> bool:
    """Whether a value of 64 bits comes from outside and may hold more than 32."""
    if value.dtype != ir.DataType.INT64:
        return False
    if constant(value) is not None:
        return _beyond(ranges.of(value), _LARGEST)
    return value.is_graph_input()


def _beyond(bounds: tuple[int, int], most: int) -> bool:
    return bounds[0] < -most - 1 or bounds[1] > most


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
