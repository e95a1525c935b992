"""Biases of layers with 16-bit data, in the coarse steps in which the NPU adds them.

The NPU sums products of 16-bit data and weights of 8 or 4 bits in units of 256 products, and cuts
off what is below. In integers, with `q` the data, `z` its zero point, `w` the weights and `b` the
bias, it computes

    256 x (floor(sum(w q) / 256) - round(z sum(w) / 256) + truncate(b / 256))

on every architecture from v68 to v81 (simulator of QAIRT 2.51; found by single convolutions whose
scales are 1, and exact to the unit). So a sum is 127.5 units too low on average, and a bias up to
255 too near to zero. That is little beside a large output, but where channels of the data are much
smaller than the tensor's range, or where products cancel, later layers make much of it. The bias
can take the mean back, to half a step, at no cost.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.graph.edit import add_constant
from snapq.operators import Role, Trait, having, weight_axes
from snapq.quantization.encodings import Encoding
from snapq.quantization.qdq.parameters import LARGEST_BIAS

__all__ = ["adds_in_steps", "as_added", "in_npu_steps"]

Integers = npt.NDArray[np.generic]
Reals = npt.NDArray[np.float64]

_STEP = 256
_MEAN_CUT = (_STEP - 1) / 2
"""What the floor of a sum takes away on average, where its low digits are any."""
_LAYERS = having(Trait.SUMS_CHANNELS, role=Role.BIAS)
_WEIGHTS = (ir.DataType.INT8, ir.DataType.INT4)
_DATA = ir.DataType.UINT16
_LARGEST = LARGEST_BIAS * (1 - 1e-6)
"""A bias that the scales of the weight were raised for still fits when it has moved."""
_MARGIN = 64
"""Distance from the ends of a step, so that a bias that is rounded to float32 stays in it."""


def adds_in_steps(op_type: str, data: Encoding, weight: Encoding) -> bool:
    """Whether a layer is known to be computed so."""
    types = data.dtype.dtype is _DATA and weight.dtype.dtype in _WEIGHTS
    return op_type in _LAYERS and types and not weight.block


def in_npu_steps(
    bias: npt.NDArray[np.float32],
    node: ir.Node,
    weight: Integers,
    weight_scale: npt.NDArray[np.float32],
    data: Encoding,
) -> npt.NDArray[np.float32]:
    """The bias with which the NPU computes, on average, what the layer asks for.

    It differs from the one given by no more than is needed: other processors hardly notice it. The
    bias is `[C]`, in real numbers, the weight in integers; `data` is what the layer reads.
    """
    unit = weight_scale.astype(np.float64).reshape(-1) * float(data.scale)
    wanted = bias.astype(np.float64) / unit
    offset = _offset(node, weight, data.zero_point)
    steps = np.rint((wanted - offset + _MEAN_CUT) / _STEP + np.rint(offset / _STEP))
    # Truncated to `n`: [256 n, 256 n + 255] above zero, mirrored below, and both around zero.
    middle = steps * _STEP + _MEAN_CUT * np.sign(steps)
    room = np.where(steps == 0, _STEP - 1, _MEAN_CUT) - _MARGIN
    held = np.clip(np.clip(wanted, middle - room, middle + room), -_LARGEST, _LARGEST)
    return np.asarray(held * unit, np.float32)


def as_added(model: ir.Model) -> ir.Model:
    """A Q/DQ model with the biases that the NPU adds in effect, for a CPU that stands in for it.

    The mean of what sums lose is in them. The same model where no layer adds in steps.
    """
    if not any(_parts(node) for node in model.graph):
        return model
    copy = model.clone()
    for node in tuple(copy.graph):
        found = _parts(node)
        if found is None:
            continue
        read, stored, reader = found
        offset = _offset(node, _integers(stored), np.asarray(_integers(read, 2)))
        bias = _integers(reader).astype(np.float64)
        steps = np.trunc(bias / _STEP) - np.rint(offset / _STEP)
        added = np.rint(steps * _STEP + offset - _MEAN_CUT)
        limits = np.iinfo(np.int32)
        name = f"{node.name}_bias_as_added"
        kept = np.clip(added, limits.min, limits.max).astype(np.int32)
        value = add_constant(copy.graph, name, kept)
        axis = {"axis": reader.attributes.get_int("axis", 1)}
        read_back = ir.node("DequantizeLinear", [value, *reader.inputs[1:]], axis, name=name)
        read_back.outputs[0].name = f"{name}_dequantized"
        copy.graph.insert_before(node, read_back)
        node.replace_input_with(2, read_back.outputs[0])
    return copy


def _parts(node: ir.Node) -> tuple[ir.Node, ir.Node, ir.Node] | None:
    """The DQ nodes of a layer's data, weight and bias, where it adds in steps."""
    if node.op_type not in _LAYERS or len(node.inputs) < 3:
        return None
    readers = [value.producer() if value is not None else None for value in node.inputs]
    data, weight, bias = readers
    if data is None or weight is None or bias is None:
        return None
    if any(one.op_type != "DequantizeLinear" for one in (data, weight, bias)):
        return None
    held = [one.inputs[0] for one in (data, weight, bias)]
    types = [value.dtype if value is not None else None for value in held]
    constants = all(value is not None and value.const_value is not None for value in held[1:])
    blocks = weight.attributes.get_int("block_size", 0)
    if types[0] != _DATA or types[1] not in _WEIGHTS or not constants or blocks:
        return None
    return data, weight, bias


def _integers(reader: ir.Node, index: int = 0) -> Integers:
    value = reader.inputs[index]
    assert value is not None
    assert value.const_value is not None
    return np.asarray(value.const_value.numpy())


def _offset(node: ir.Node, weight: Integers, zero: Integers) -> Reals:
    """Zero point times sum of weights, for each output channel; 0 where it differs by place."""
    if node.op_type == "ConvTranspose":
        return np.zeros(1)
    axes = weight_axes(node, weight.ndim)
    others = tuple(i for i in range(weight.ndim) if axes is None or i != axes[0])
    return np.asarray(float(zero) * weight.astype(np.float64).sum(axis=others))
