"""QuantizeLinear, DequantizeLinear and Transpose nodes, and the encodings that stand in a graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from snapq.graph.edit import new_node

QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
_FLOAT = ir.DataType.FLOAT
_CODES = (ir.DataType.UINT8, ir.DataType.INT8, ir.DataType.UINT16, ir.DataType.INT16)


@dataclass(frozen=True)
class TensorEncoding:
    """A per-tensor encoding as it stands in the graph."""

    scale: ir.Value
    zero_point: ir.Value
    dtype: ir.DataType

    @property
    def numbers(self) -> tuple[float, int]:
        """Scale and zero point."""
        return float(_scalar(self.scale)), int(_scalar(self.zero_point))


def encoding_of(node: ir.Node) -> TensorEncoding | None:
    """The per-tensor encoding of a QuantizeLinear or DequantizeLinear, None where it has none."""
    if len(node.inputs) < 3:
        return None
    scale, zero_point = node.inputs[1], node.inputs[2]
    if scale is None or zero_point is None or zero_point.dtype not in _CODES:
        return None
    tensors = [ir.convenience.get_const_tensor(value) for value in (scale, zero_point)]
    if any(tensor is None or tensor.size != 1 for tensor in tensors):
        return None
    dtype = zero_point.dtype
    assert dtype is not None
    return TensorEncoding(scale, zero_point, dtype)


def same_encoding(one: TensorEncoding, other: TensorEncoding) -> bool:
    """Whether two encodings have the same type and numbers."""
    return one.dtype == other.dtype and one.numbers == other.numbers


def _scalar(value: ir.Value) -> float:
    tensor = ir.convenience.get_const_tensor(value)
    assert tensor is not None
    return float(tensor.numpy().reshape(()))


def numpy_name(value: ir.Value) -> str:
    """The numpy name of a value's type, `float32`."""
    dtype = value.dtype or _FLOAT
    return str(dtype.numpy().name)


def linear_node(
    graph: ir.Graph, op_type: str, name: str, source: ir.Value, encoding: TensorEncoding
) -> ir.Node:
    """A QuantizeLinear or DequantizeLinear with an encoding of the graph, not in the graph yet."""
    node = new_node(graph, op_type, name, [source, encoding.scale, encoding.zero_point], {})
    dtype = encoding.dtype if op_type == QUANTIZE else encoding.scale.dtype
    node.outputs[0].type, node.outputs[0].shape = ir.TensorType(dtype or _FLOAT), source.shape
    return node


def transpose_node(graph: ir.Graph, source: ir.Value, permutation: Sequence[int]) -> ir.Node:
    """A Transpose of `source`, whose shape is known, not in the graph yet."""
    assert source.shape is not None
    attributes = {"perm": list(permutation)}
    node = new_node(graph, "Transpose", f"{source.name}_turned", [source], attributes)
    shape = ir.Shape([source.shape[axis] for axis in permutation])
    node.outputs[0].type, node.outputs[0].shape = source.type, shape
    return node


def transpose_unit(
    graph: ir.Graph,
    codes: ir.Value,
    encoding: TensorEncoding,
    permutation: Sequence[int],
    *,
    at: str | None = None,
) -> list[ir.Node]:
    """DequantizeLinear, Transpose, QuantizeLinear: codes in, codes out."""
    name = at or str(codes.name)
    first = linear_node(graph, DEQUANTIZE, f"{name}_before_layout", codes, encoding)
    move = transpose_node(graph, first.outputs[0], permutation)
    return [first, move, linear_node(graph, QUANTIZE, f"{name}_codes", move.outputs[0], encoding)]
