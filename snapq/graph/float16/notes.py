"""Tells of what stays in fp16 and has few digits there, which no cheap form mends.

1. Products of Sigmoids that are outputs: the NPU's has steps of 2^-11, so that of sigmoid(-8) half
   is lost and sigmoid(-10) is 0. Those that leave alone are written otherwise (`scale_scores`), but
   for large ones, which would take much longer.
2. TopK: it compares in fp16, also what has 16 bits, so that elements that differ by less than 2^-11
   of their size change places.

(Simulator and estimate of QAIRT 2.51, v73 to v81.)
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import onnx_ir as ir

from snapq.graph.edit import is_float, is_op, producer
from snapq.graph.float16.scale_scores import is_large
from snapq.operators import Trait, spec_of

__all__ = ["Told", "float16_notes"]

_SHOWN = 5
_SCORES = (
    "in fp16 the NPU gives a Sigmoid in steps of 0.0005, so that scores below 0.005 have few "
    "digits and those below 0.0003 are 0. For lower thresholds give these nodes 16-bit integers, "
    "or cut the model in front of them (`model.outputs`)"
)
_ORDER = (
    "TopK compares in fp16 on the NPU, so that elements that differ by less than 0.05 % change "
    "places or are left out. Where that matters, cut the model in front of it (`model.outputs`)"
)


@dataclass(frozen=True)
class Told:
    """A sentence, and the nodes that it is about."""

    nodes: tuple[str, ...]
    text: str


def float16_notes(graph: ir.Graph, nodes: Iterable[ir.Node] | None = None) -> tuple[Told, ...]:
    """What the reader should know of float nodes; of all where none are named.

    Args:
        graph: of a prepared or a quantized model.
        nodes: those that run in fp16.
    """
    known = frozenset(graph if nodes is None else nodes)
    found = (
        (_SCORES, dict.fromkeys(n for v in graph.outputs for n in _sigmoids(v, known))),
        (_ORDER, dict.fromkeys(n for n in graph if n in known and _sorts(n))),
    )
    return tuple(_told(tuple(str(n.name) for n in named), text) for text, named in found if named)


def _told(names: tuple[str, ...], text: str) -> Told:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return Told(names, f"{', '.join(names[:_SHOWN])}{more}: {text}.")


def _sigmoids(value: ir.Value, known: Collection[ir.Node]) -> list[ir.Node]:
    """The Sigmoids of which products make an output, or data movement where they are large."""
    found, waiting, seen = [], [(value, False)], set[ir.Value]()
    while waiting:
        one, multiplied = waiting.pop()
        node = one.producer()
        if one in seen or node is None:
            continue
        seen.add(one)
        if _is_silu(node):
            continue
        product = is_op(node, "Mul")
        if is_op(node, "Sigmoid"):
            scaled = producer(node.inputs[0], "Abs") is not None
            told = multiplied or (node.inputs[0] is not None and is_large(node.inputs[0]))
            found += [node] if node in known and told and not scaled else []
        elif spec_of(node).has(Trait.MOVES) or product:
            given = [item for item in node.inputs if is_float(item) and item is not None]
            waiting += [(item, multiplied or product) for item in given]
    return found[::-1]


def _is_silu(node: ir.Node) -> bool:
    """Whether it is `x sigmoid(a x)`: no score, and as small as x where the Sigmoid is 0."""
    if not is_op(node, "Mul"):
        return False
    for source, gate in (node.inputs, node.inputs[::-1]):
        sigmoid = producer(gate, "Sigmoid")
        argument = None if sigmoid is None else sigmoid.inputs[0]
        scaled = producer(argument, "Mul")
        if source is not None and source in (argument, *(scaled.inputs if scaled else ())):
            return True
    return False


def _sorts(node: ir.Node) -> bool:
    """Whether a TopK reads numbers that have more digits than fp16."""
    source = producer(node.inputs[0], "DequantizeLinear") if is_op(node, "TopK") else None
    if source is None:
        return is_op(node, "TopK") and is_float(node.inputs[0])
    held = source.inputs[0]
    return held is not None and held.dtype is not None and held.dtype.bitwidth > 8
