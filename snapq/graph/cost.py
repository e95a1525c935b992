"""What each node costs: multiply-accumulates, parameters, and bytes that it reads and writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import onnx_ir as ir

from snapq.graph.edits import int_attribute, string_attribute
from snapq.graph.shapes import static_shape


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
    """

    name: str
    op_type: str
    output: str
    macs: int
    parameters: int
    bytes: int


def node_costs(model: ir.Model) -> tuple[NodeCost, ...]:
    """The cost of every node of the main graph, in graph order. Unknown shapes count as nothing."""
    return tuple(_cost(node) for node in model.graph)


def _cost(node: ir.Node) -> NodeCost:
    count = _MACS.get(node.op_type, _elementwise)
    return NodeCost(
        name=str(node.name),
        op_type=node.op_type,
        output=str(node.outputs[0].name) if node.outputs else "",
        macs=count(node),
        parameters=sum(_parameters(value) for value in node.inputs),
        bytes=sum(_bytes(value) for value in (*node.inputs, *node.outputs)),
    )


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
    return (_elements(value) * value.dtype.bitwidth + 7) // 8


def _elements(value: ir.Value | None) -> int:
    shape = static_shape(value)
    return 0 if shape is None else prod(shape)


def _shape(node: ir.Node, index: int) -> tuple[int, ...]:
    value = node.inputs[index] if index < len(node.inputs) else None
    return static_shape(value) or ()


def _elementwise(node: ir.Node) -> int:
    return _elements(node.outputs[0]) if node.outputs else 0


def _nothing(_node: ir.Node) -> int:
    return 0


def _input_elements(node: ir.Node) -> int:
    """Reductions and normalizations touch each input element once."""
    return _elements(node.inputs[0])


def _conv(node: ir.Node) -> int:
    return _elements(node.outputs[0]) * prod(_shape(node, 1)[1:]) if _shape(node, 1) else 0


def _conv_transpose(node: ir.Node) -> int:
    return _elements(node.inputs[0]) * prod(_shape(node, 1)[1:]) if _shape(node, 1) else 0


def _matmul(node: ir.Node) -> int:
    shape = _shape(node, 0)
    return _elements(node.outputs[0]) * shape[-1] if shape else 0


def _gemm(node: ir.Node) -> int:
    shape = _shape(node, 0)
    inner = shape[0 if int_attribute(node, "transA", 0) else 1] if len(shape) == 2 else 0
    return _elements(node.outputs[0]) * inner


def _recurrent(node: ir.Node) -> int:
    """Both matrix products of every step and direction: X of `[steps, batch, size]`."""
    shape = _shape(node, 0)
    if len(shape) != 3:
        return 0
    return shape[0] * shape[1] * (prod(_shape(node, 1)) + prod(_shape(node, 2)))


def _pool(node: ir.Node) -> int:
    kernel = node.attributes.get("kernel_shape")
    return _elementwise(node) * (prod(kernel.as_ints()) if kernel is not None else 1)


def _attention(node: ir.Node) -> int:
    """Queries by keys, then the result by values; Q is `[..., heads, steps, size]`."""
    query, key, value = (_shape(node, index) for index in range(3))
    if len(query) == 4 and len(key) == 4 and len(value) == 4:
        return prod(query[:3]) * key[2] * (query[3] + value[3])
    if len(query) == 3 and len(key) == 3 and len(value) == 3:
        return prod(query[:2]) * key[1] * (query[2] + value[2])
    return 0


def _einsum(node: ir.Node) -> int:
    """One multiplication for each combination of all indices."""
    left = string_attribute(node, "equation", "").replace(" ", "").split("->")[0]
    sizes: dict[str, int] = {}
    for index, term in enumerate(left.split(",")):
        if "." not in term:
            sizes.update(zip(term, _shape(node, index), strict=False))
    return prod(sizes.values()) if sizes else _elementwise(node)


_MOVES = (
    *("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Identity", "Constant", "Cast"),
    *("Concat", "Split", "Slice", "Gather", "GatherElements", "GatherND", "Expand", "Tile", "Pad"),
    *("DepthToSpace", "SpaceToDepth", "QuantizeLinear", "DequantizeLinear", "Shape", "Size"),
    *("ScatterND", "ScatterElements", "ConstantOfShape", "Range", "If", "Loop", "Scan"),
)
_OVER_INPUT = (
    *("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceProd"),
    *("ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare", "ArgMax", "ArgMin", "TopK"),
    *("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"),
)
_MACS: dict[str, Callable[[ir.Node], int]] = {
    **dict.fromkeys(_MOVES, _nothing),
    **dict.fromkeys(_OVER_INPUT, _input_elements),
    **dict.fromkeys(("MaxPool", "AveragePool", "LpPool"), _pool),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), _recurrent),
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "MatMul": _matmul,
    "FusedMatMul": _matmul,
    "Gemm": _gemm,
    "Attention": _attention,
    "MultiHeadAttention": _attention,
    "Einsum": _einsum,
}
