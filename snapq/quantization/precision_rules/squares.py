"""Squares on their way to a root: the one place where 8 bits lose nearly everything.

`sqrt(a^2 + b^2)`, the magnitude of a spectrum or a norm, has the range of what goes in, but what
flows inside has the square of it: of 48 dB that 8 bits hold, 24 are left, and quiet sounds are all
zero. 16 bits inside keep what 8 bits hold. Float keeps more, as its steps shrink with the value,
and where the transform in front is float too, nothing is converted between them: the front end of
Silero VAD at w8a8 goes from 66 to 50 thousand cycles by Qualcomm's estimate (QCS9075), and at
w8a16 its state gains 7 dB on the simulator for 1 % more. Without the transform, conversions eat
the gain.

A logarithm of such a spectrum asks for as many correct digits of quiet sounds as of loud ones, and
integers have them of loud ones only: with all up to the logarithm in float, Basic Pitch (a bank of
filters, an octave at a time) goes at w8a8 from 8 to 17 dB on the simulator.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.shapes import static_shape
from snapq.operators import Family, Trait, having, in_families
from snapq.quantization.qdq.decisions import constant

__all__ = ["fronts", "logarithms", "squared"]

_MOVES = having(Trait.MOVES)
_SUMS = ("Add", "ReduceSum", "ReduceMean", *_MOVES)
_LINEAR = ("Conv", "MatMul", "Gemm")
_LARGEST = 20_000_000
"""Multiply-accumulates of a transform; a larger one is better in integers."""
_LARGEST_BANK = 6 * _LARGEST
"""Of all transforms in front of a logarithm."""
_PLACED = ("GatherElements", "ScatterElements", "ScatterND", "Where")
"""Moves by constants: samples at the ends of a sound, masks of its length."""
_OF_SPECTRA = (
    *in_families(Family.ARITHMETIC),
    *(*_SUMS, *_PLACED, "Abs", "Clip", "Log", "Pow", "Sqrt"),
)


def squared(graph: ir.Graph) -> frozenset[str]:
    """Names of the nodes that square, sum up squares, and take roots of them."""
    found: set[str] = set()
    for inside in _roots(graph):
        found |= {str(node.name) for node in inside}
    return frozenset(found)


def fronts(graph: ir.Graph) -> frozenset[str]:
    """Names of the nodes of spectral front ends: from a graph input to a root of squares.

    There is one transform with constant weights on the way, and nothing else that computes.
    """
    found: set[str] = set()
    for inside in _roots(graph):
        before = [
            _before(value)
            for node in inside
            for value in node.inputs
            if value is not None and value.producer() not in inside and constant(value) is None
        ]
        if before and all(nodes is not None for nodes in before):
            for nodes in (inside, *before):
                found |= {str(node.name) for node in nodes or ()}
    return frozenset(found)


def logarithms(graph: ir.Graph) -> frozenset[str]:
    """Names of the nodes from graph inputs to the logarithm of a spectrum.

    There are transforms with constant weights on the way and squares, and no activation of a
    network.
    """
    found: set[str] = set()
    for node in graph:
        if node.op_type == "Log":
            found |= {str(one.name) for one in _spectrum(node) or ()}
    return frozenset(found)


def _spectrum(log: ir.Node) -> set[ir.Node] | None:
    """A logarithm and all in front of it; None where that is no spectrum of an input."""
    nodes: set[ir.Node] = set()
    products, squares = 0.0, 0
    waiting = [log]
    while waiting:
        node = waiting.pop()
        if node in nodes:
            continue
        nodes.add(node)
        squares += _is_square(node)
        if node.op_type in _LINEAR:
            products += _products(node)
            if products > _LARGEST_BANK:
                return None
        elif node.op_type not in _OF_SPECTRA:
            return None
        makers = (value.producer() for value in node.inputs if value is not None)
        waiting += [maker for maker in makers if maker is not None]
    return nodes if products and squares else None


def _roots(graph: ir.Graph) -> list[set[ir.Node]]:
    """For each root of squares its node and those back to the squares."""
    found = []
    for node in graph:
        if node.op_type == "Sqrt":
            inside = _inside(node)
            if inside is not None:
                found.append({node, *inside})
    return found


def _inside(root: ir.Node) -> set[ir.Node] | None:
    """The nodes between squares and their root; None where something else comes in."""
    nodes: set[ir.Node] = set()
    squares = 0
    waiting = [root.inputs[0]]
    while waiting:
        value = waiting.pop()
        if constant(value) is not None:
            continue
        node = value.producer() if value is not None else None
        if node is None:
            return None
        nodes.add(node)
        if _is_square(node):
            squares += 1
        elif node.op_type in _SUMS:
            waiting += [given for given in node.inputs if given is not None]
        else:
            return None
    return nodes if squares else None


def _before(value: ir.Value) -> set[ir.Node] | None:
    """The nodes between a graph input and what is squared; None where they are no front end."""
    nodes: set[ir.Node] = set()
    transforms = 0
    while not value.is_graph_input():
        node = value.producer()
        first = node.inputs[0] if node is not None and node.inputs else None
        if node is None or first is None:
            return None
        if node.op_type in _LINEAR:
            transforms += 1
            if _products(node) > _LARGEST:
                return None
        elif node.op_type not in _MOVES:
            return None
        if any(constant(other) is None for other in node.inputs[1:] if other is not None):
            return None
        nodes.add(node)
        value = first
    return nodes if transforms == 1 else None


def _products(node: ir.Node) -> float:
    """Multiply-accumulates, from the sizes of weight and output; infinite where not known."""
    weight, given = constant(node.inputs[1]), static_shape(node.outputs[0])
    columns = 1 if node.op_type == "Conv" else -1
    if weight is None and node.op_type == "MatMul":
        weight, columns = constant(node.inputs[0]), -2
    if weight is None or given is None or len(given) < 2:
        return float("inf")
    return float(weight.size) * float(np.prod(given, dtype=np.float64)) / max(given[columns], 1)


def _is_square(node: ir.Node) -> bool:
    if node.op_type == "Mul":
        return node.inputs[0] is node.inputs[1]
    exponent = constant(node.inputs[1]) if node.op_type == "Pow" else None
    return exponent is not None and exponent.size == 1 and float(exponent.numpy().item()) == 2.0
