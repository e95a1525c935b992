"""Reads the encodings that a Q/DQ model has, whoever wrote it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.graph.edit import input_at
from snapq.quantization.encodings import Encoding, QuantType
from snapq.quantization.granularity import PerAxis

__all__ = ["constant_array", "encoding_of", "unreadable"]


def constant_array(value: ir.Value | None) -> npt.NDArray[np.generic] | None:
    """The array of an initializer or of a Constant node; None for anything else."""
    if value is None:
        return None
    producer = value.producer()
    if producer is not None and producer.op_type == "Constant":
        attribute = producer.attributes.get("value")
        return np.asarray(attribute.as_tensor().numpy()) if attribute is not None else None
    if producer is not None or value.const_value is None or value.is_graph_input():
        return None
    return np.asarray(value.const_value.numpy())


def encoding_of(node: ir.Node) -> Encoding | None:
    """The encoding of a Q or DQ node; None where its scale is computed or given by blocks.

    None too where it holds something else than integers of 4 to 32 bits; `unreadable` says why.
    """
    scale = constant_array(node.inputs[1])
    if scale is None or node.attributes.get_int("block_size", 0) != 0:
        return None
    zero, dtype = constant_array(input_at(node, 2)), _integer_type(node)
    if dtype is None or (zero is None and input_at(node, 2) is not None):
        return None
    if zero is None:
        zero = np.zeros(scale.shape, dtype.numpy)
    # A scale of one element is one scale, whatever its shape says.
    if scale.size == 1:
        return Encoding(
            dtype, scale.reshape(()).astype(np.float32), zero.reshape(-1)[0].reshape(())
        )
    value, axis = node.inputs[0], node.attributes.get_int("axis", 1)
    rank = value.shape.rank() if value is not None and value.shape is not None else 0
    points = np.broadcast_to(zero, scale.shape)
    return Encoding(dtype, scale.astype(np.float32), points, PerAxis(axis % rank if rank else axis))


def unreadable(node: ir.Node) -> str | None:
    """Why a Q or DQ node has no meaning that can be taken over, as an end of a sentence."""
    held = _held(node)
    if _integer_type(node) is None:
        return f"holds {str(held).lower()}, and the NPU integers of 4, 8 and 16 bits only"
    scale = constant_array(node.inputs[1])
    if scale is None or (constant_array(input_at(node, 2)) is None and input_at(node, 2)):
        return "has a scale or zero point that is computed"
    values = scale.astype(np.float64).reshape(-1)
    if values.size == 0:
        return "has no scale"
    if not np.isfinite(values).all():
        return f"has the scale {values[~np.isfinite(values)][0]}, which is no number"
    if (values < 0).any():
        return f"has the scale {values.min():g}, and a scale is above 0"
    stored = node.op_type == "DequantizeLinear" and constant_array(node.inputs[0]) is not None
    if not stored and (values == 0).any():
        return "has the scale 0, and a scale is above 0"
    return None


def _held(node: ir.Node) -> ir.DataType | None:
    """The type that a Q gives or a DQ takes; None where neither the graph nor the node says it."""
    zero = input_at(node, 2)
    integers = node.inputs[0] if node.op_type == "DequantizeLinear" else node.outputs[0]
    named = node.attributes.get_int("output_dtype", 0) if node.op_type == "QuantizeLinear" else 0
    for value in (zero, integers):
        if value is not None and value.dtype is not None:
            return value.dtype
    return ir.DataType(named) if named else None


def _integer_type(node: ir.Node) -> QuantType | None:
    """The integer type that a Q gives or a DQ takes; uint8 where nothing says it."""
    held = _held(node)
    return QuantType.UINT8 if held is None else QuantType.of(held)
