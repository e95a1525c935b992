"""Where channels end: layers with a constant weight that sum over them.

At a site the layer computes `y = W x`, with `x` the values of all channels at one place. A channel
is worth what it adds to `y`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.graph.edit import constant, input_at
from snapq.pruning.axes import Ids
from snapq.pruning.groups import Structure

Array = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Site:
    """A layer that sums over channels.

    Attributes:
        node: name of the node.
        operator: its operator.
        tensor: name of the activation that carries the channels.
        axis: its channel axis.
        labels: label of each index of that axis.
        weight_index: which input of the node is the weight.
        weight_axis: the weight's axis over which the node sums.
    """

    node: str
    operator: str
    tensor: str
    axis: int
    labels: Ids
    weight_index: int
    weight_axis: int


def sites(structure: Structure) -> tuple[Site, ...]:
    """The layers of a model that sum over a computed axis with a constant weight, in its order."""
    found = []
    for summed in structure.summed:
        node = summed.node
        value = node.inputs[summed.index]
        if summed.weight is None or value is None or weight_of(node, summed.weight) is None:
            continue
        name, places = str(value.name), (summed.weight, summed.weight_axis)
        axis = summed.axis % len(structure.ids[name])
        labels = structure.labels[structure.ids[name][axis]]
        found.append(Site(str(node.name), node.op_type, name, axis, labels, *places))
    return tuple(found)


def weight_of(node: ir.Node, index: int) -> Array | None:
    """The weight of a node as floats; integers are dequantized. None where it is not constant."""
    value = node.inputs[index]
    if value is None:
        return None
    array = constant(value)
    if array is not None:
        return array if array.dtype.kind == "f" else None
    maker = value.producer()
    if maker is None or maker.op_type != "DequantizeLinear":
        return None
    return dequantized(maker)


def dequantized(node: ir.Node) -> Array | None:
    """The constant that a DequantizeLinear gives, per tensor or per channel."""
    codes, scale = constant(node.inputs[0]), constant(node.inputs[1])
    zero = constant(input_at(node, 2))
    if codes is None or scale is None or scale.ndim > 1:
        return None
    axis = node.attributes.get_int("axis", 1)
    spread = [1] * codes.ndim
    if scale.size > 1:
        spread[axis] = scale.size
    wide = codes.astype(np.float64)
    if zero is not None:
        wide -= zero.astype(np.float64).reshape(spread if zero.size > 1 else [])
    result: Array = wide * scale.astype(np.float64).reshape(spread if scale.size > 1 else [])
    return result


def by_channel(weight: Array, axis: int) -> npt.NDArray[np.float64]:
    """The weight `[channels, everything else]`: row `c` is what channel `c` is multiplied by."""
    moved = np.moveaxis(weight, axis, 0)
    return np.ascontiguousarray(moved.reshape(moved.shape[0], -1), np.float64)
