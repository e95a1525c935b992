"""What happens to each node: in which integer type it runs, or why it stays in float."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.operators import Encodings, OpSpec, Role, Trait, spec_of
from snapq.quantization.encodings import QuantType
from snapq.quantization.granularity import PER_TENSOR, Granularity
from snapq.quantization.qdq.scheme import Source

__all__ = [
    "KEPT_FLOAT",
    "NOTHING",
    "Decision",
    "array",
    "constant",
    "is_depthwise",
    "is_float",
    "is_weighted",
]

KEPT_FLOAT = "snapq.kept_float"
"""Metadata key of a node that the quantizer left in float on purpose; lint does not complain."""
NOTHING = "nothing to quantize"
"""The reason of a node without real numbers."""


@dataclass(frozen=True)
class Decision:
    """What happens to one node.

    Attributes:
        rule: how its operator is quantized; None where the node stays as it is.
        dtype: the integer type of its data; None where the node stays as it is.
        weights: the integer type of its constant weight or scale.
        reason: one clause for the reader where this is not what the scheme says.
        source: who says so, where that is the scheme.
        on_cpu: the NPU has the operator neither in integers nor in float.
        granularity: which values of its constant weight share a scale.
        scales_apart: see `Scheme`.
    """

    rule: OpSpec | None = None
    dtype: QuantType | None = None
    weights: QuantType = QuantType.INT8
    reason: str | None = None
    source: Source | None = None
    on_cpu: bool = False
    granularity: Granularity = PER_TENSOR
    scales_apart: int | None = None

    @property
    def encodings(self) -> Encodings | None:
        """How the encodings of its inputs and outputs hang together; None where it stays."""
        return self.rule.encodings if self.rule else None

    def role(self, index: int) -> Role:
        """Role of the input at `index`."""
        return self.rule.role(index) if self.rule else Role.OTHER


def constant(value: ir.Value | None) -> ir.TensorProtocol | None:
    """The tensor of an initializer; None for anything computed or fed."""
    if value is None or value.producer() is not None or value.is_graph_input():
        return None
    return value.const_value


def array(value: ir.Value) -> npt.NDArray[np.float32]:
    """What a constant holds, in float32."""
    tensor = value.const_value
    return np.asarray(tensor.numpy() if tensor is not None else 0.0, np.float32)


def is_float(value: ir.Value | None) -> bool:
    """Whether a value can be quantized: a float32 tensor with elements."""
    if value is None or value.dtype != ir.DataType.FLOAT:
        return False
    return value.shape is None or 0 not in value.shape.dims


def is_weighted(node: ir.Node) -> bool:
    """Whether a node sums over channels, times a constant weight."""
    weight = node.inputs[1] if len(node.inputs) > 1 else None
    return spec_of(node).has(Trait.SUMS_CHANNELS) and constant(weight) is not None


def is_depthwise(node: ir.Node) -> bool:
    """Whether a node is a Conv with one input channel for each group."""
    if node.op_type != "Conv" or node.attributes.get_int("group", 1) == 1:
        return False
    weight = node.inputs[1]
    return bool(weight and weight.shape and weight.shape[1] == 1)
