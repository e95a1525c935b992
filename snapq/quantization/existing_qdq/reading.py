"""Reads the encodings that a Q/DQ model has, whoever wrote it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.graph.edit import input_at
from snapq.quantization.encodings import Encoding, QuantType
from snapq.quantization.granularity import PerAxis

__all__ = ["constant_array", "encoding_of"]


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
    """The encoding of a Q or DQ node; None where its scale is computed or given by blocks."""
    scale = constant_array(node.inputs[1])
    if scale is None or node.attributes.get_int("block_size", 0) != 0:
        return None
    given = input_at(node, 2)
    zero = constant_array(given)
    integers = node.inputs[0] if node.op_type == "DequantizeLinear" else node.outputs[0]
    held = given if given is not None else integers
    dtype = QuantType.of(held.dtype if held is not None else None) or QuantType.UINT8
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
