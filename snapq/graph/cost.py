"""What each node costs: multiply-accumulates, parameters, and bytes that it reads and writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import onnx_ir as ir

from snapq.graph.shapes import static_shape
from snapq.operators import spec_of
from snapq.operators.spec import Shapes


@dataclass(frozen=True)
class NodeCost:
    """Cost of one node.

    Attributes:
        name: the node's name.
        op_type: the operator.
        output: name of its first output.
        macs: multiply-accumulates of one inference; for operators that multiply nothing, one for
            each output element.
        parameters: elements of its constant floating-point inputs.
        bytes: bytes of all inputs and outputs, constants too.
        reads: places in the graph's order of the nodes whose outputs it reads.
    """

    name: str
    op_type: str
    output: str
    macs: int
    parameters: int
    bytes: int
    reads: tuple[int, ...] = ()


def node_costs(model: ir.Model) -> tuple[NodeCost, ...]:
    """The cost of every node of the main graph, in graph order. Unknown shapes count as nothing."""
    nodes = tuple(model.graph)
    places = {id(node): place for place, node in enumerate(nodes)}
    return tuple(_cost(node, places) for node in nodes)


def total_macs(model: ir.Model) -> int:
    """Multiply-accumulates of one inference of the model."""
    return sum(macs(node) for node in model.graph)


def macs(node: ir.Node) -> int:
    """Multiply-accumulates of a node, see `NodeCost`."""
    return spec_of(node).macs(node, _shapes(node))


def _cost(node: ir.Node, places: Mapping[int, int]) -> NodeCost:
    return NodeCost(
        name=str(node.name),
        op_type=node.op_type,
        output=str(node.outputs[0].name) if node.outputs else "",
        macs=macs(node),
        parameters=sum(_parameters(value) for value in node.inputs),
        bytes=sum(_bytes(value) for value in (*node.inputs, *node.outputs)),
        reads=_reads(node, places),
    )


def _shapes(node: ir.Node) -> Shapes:
    return Shapes(tuple(map(static_shape, node.inputs)), tuple(map(static_shape, node.outputs)))


def _reads(node: ir.Node, places: Mapping[int, int]) -> tuple[int, ...]:
    makers = (value.producer() for value in node.inputs if value is not None)
    found = (places.get(id(maker)) for maker in makers if maker is not None)
    return tuple(dict.fromkeys(place for place in found if place is not None))


def _parameters(value: ir.Value | None) -> int:
    """Weights may be floats, or integers in front of a DequantizeLinear."""
    if value is None:
        return 0
    maker = value.producer()
    if maker is not None and maker.op_type == "DequantizeLinear":
        return _parameters(maker.inputs[0])
    if value.const_value is None or value.dtype in (ir.DataType.INT64, ir.DataType.BOOL):
        return 0
    return int(value.const_value.size)


def _bytes(value: ir.Value | None) -> int:
    if value is None or value.dtype is None or value.dtype == ir.DataType.STRING:
        return 0
    shape = static_shape(value)
    return 0 if shape is None else (prod(shape) * value.dtype.bitwidth + 7) // 8
