"""Which nodes make boxes of what a detector's layers give: a grid of anchors or cells, and strides.

A box of 8 bits in a picture of 320 pixels lies on a grid of more than a pixel, and what goes into
it is on grids of its own, so boxes of small things miss their places however good the scores are: a
YOLOv8n keeps 0.84 of its mAP over IoU 0.5 to 0.95 with its boxes at 8 bits, 0.96 with them at 16.
How much of the way to a box has 16 bits is a matter of time, as each change of precision has a
price: of that model (QCS9075, Qualcomm's estimate) 444 us at 8 bits, 470 with the sum over the
distances' distribution and all behind it at 16, 562 with the Softmax too, 692 from behind the sum.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

import numpy as np
import onnx_ir as ir

from snapq.graph.shapes import static_shape
from snapq.operators import Encodings, Family, Trait, quantized, spec_of
from snapq.quantization.qdq.decisions import array, constant, is_float, is_weighted

__all__ = ["box_decoding"]

_PLACES = 16
"""A grid has at least so many places."""
_GRIDS = ("Add", "Sub")
_SIZES = ("Exp", "Pow")
_FACTORS = ("Mul", "Div")


def box_decoding(graph: ir.Graph) -> tuple[frozenset[str], ...]:
    """Choices of nodes, by name, that make boxes: from the most nodes to the fewest.

    1. There is a grid: a sum or difference of something computed and a constant that is another
       one at each place. Arithmetic and data movement alone make outputs of it.
    2. What makes sizes belongs to it (Exp, Pow, factors by anchor or place), and all behind it up
       to an output, or up to where something else, such as scores, is joined to it.
    3. So does what is in front: back to the layers, these included (a layer behind a Softmax is the
       mean of a distribution, and not yet one of these); back to any layer; back to what is no
       arithmetic; nothing of it.
    """
    behind = _behind(graph)
    if not behind:
        return ()
    choices = [behind | _front(behind, goes_on, kept) for goes_on, kept in _WAYS]
    named = (frozenset(str(node.name) for node in chosen) for chosen in (*choices, behind))
    return tuple(sorted(dict.fromkeys(named), key=len, reverse=True))


def _behind(graph: ir.Graph) -> set[ir.Node]:
    """Grids, sizes and what is made of them alone; empty where there is no grid."""
    leading = _leading(graph)
    starts = {node for node in leading if node.op_type in _SIZES or _by_place(node, _FACTORS)}
    grids = {
        node
        for node in leading
        if _by_place(node, _GRIDS, _PLACES) and all(user in leading for user in _users(node))
    }
    if not grids:
        return set()
    found = starts | grids
    for node in leading:
        makers = [maker for maker in map(_maker, _computed(node)) if maker is not None]
        joins = spec_of(node).encodings is Encodings.JOINED
        if (all if joins else any)(maker in found for maker in makers) and makers:
            found.add(node)
    return found


def _leading(graph: ir.Graph) -> dict[ir.Node, None]:
    """The nodes from which arithmetic and data movement alone lead to an output, in graph order."""
    found: dict[ir.Node, None] = {}
    for node in reversed(list(graph)):
        ends = any(value.is_graph_output() for value in node.outputs)
        if _is_pointwise(node) and (ends or any(user in found for user in _users(node))):
            found[node] = None
    return dict(reversed(found.items()))


def _front(
    nodes: Collection[ir.Node],
    goes_on: Callable[[ir.Node], bool],
    kept: Callable[[ir.Node], bool],
) -> set[ir.Node]:
    """The nodes in front of some: what `goes_on`, and where that ends what is `kept`."""
    found: set[ir.Node] = set()
    waiting = [value for node in nodes for value in _computed(node)]
    while waiting:
        node = _maker(waiting.pop())
        if node is None or node in found or node in nodes:
            continue
        if goes_on(node):
            found.add(node)
            waiting += _computed(node)
        elif kept(node):
            found.add(node)
    return found


def _by_place(node: ir.Node, operators: Collection[str], least: int = 2) -> bool:
    """Whether a node computes with a constant of that many different places, not one by channel."""
    shape = static_shape(node.outputs[0])
    if node.op_type not in operators or shape is None or not _computed(node):
        return False
    for value in node.inputs:
        if value is None or constant(value) is None or not is_float(value):
            continue
        numbers = array(value)
        axes = {
            axis + len(shape) - numbers.ndim
            for axis in range(numbers.ndim)
            if (numbers != numbers.take([0], axis)).any()
        }
        places = np.prod([shape[axis] for axis in axes], dtype=np.int64) if axes else 0
        if places >= least and axes != _channels(node, len(shape)):
            return True
    return False


def _channels(node: ir.Node, rank: int) -> set[int] | None:
    """The axis of channels, where a layer gives what a node computes with, function by function."""
    maker = _maker(_computed(node)[0])
    while maker is not None and spec_of(maker).has(Trait.ELEMENTWISE) and _computed(maker):
        maker = _maker(_computed(maker)[0])
    if maker is None or not spec_of(maker).has(Trait.SUMS_CHANNELS):
        return None
    return {1} if spec_of(maker).family is Family.CONV else {rank - 1}


def _is_pointwise(node: ir.Node) -> bool:
    """Whether a node moves numbers or computes with those at the same place."""
    row = quantized(node)
    if row is None or row.encodings is Encodings.READ:
        return False
    return row.has(Trait.MOVES) or row.has(Trait.ELEMENTWISE) or row.family is Family.ARITHMETIC


def _is_arithmetic(node: ir.Node) -> bool:
    """The same without functions such as Sigmoid, and with sums."""
    plain = _is_pointwise(node) and spec_of(node).family is not Family.ACTIVATION
    return plain or node.op_type == "ReduceSum"


def _is_function(node: ir.Node) -> bool:
    """Whether a node is no layer and makes no features: arithmetic, Sigmoid, Softmax."""
    return _is_arithmetic(node) or _is_pointwise(node) or spec_of(node).family is Family.SOFTMAX


def _is_mean(node: ir.Node) -> bool:
    """Whether a layer weighs the probabilities of a Softmax."""
    maker = _maker(node.inputs[0]) if is_weighted(node) else None
    while maker is not None and spec_of(maker).has(Trait.MOVES):
        maker = _maker(maker.inputs[0])
    return maker is not None and spec_of(maker).family is Family.SOFTMAX


def _never(_: ir.Node) -> bool:
    return False


_WAYS: tuple[tuple[Callable[[ir.Node], bool], Callable[[ir.Node], bool]], ...] = (
    (lambda node: _is_function(node) or _is_mean(node), is_weighted),
    (_is_function, is_weighted),
    (_is_arithmetic, _never),
)
"""How far back: what is passed on the way, and what the last nodes may be."""


def _computed(node: ir.Node) -> list[ir.Value]:
    """The inputs with real numbers that are no constants."""
    given = (value for value in node.inputs if value is not None and constant(value) is None)
    return [value for value in given if is_float(value)]


def _maker(value: ir.Value | None) -> ir.Node | None:
    return value.producer() if value is not None else None


def _users(node: ir.Node) -> Iterator[ir.Node]:
    for value in node.outputs:
        for user, _ in value.uses():
            yield user
