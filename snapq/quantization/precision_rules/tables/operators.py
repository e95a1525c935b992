"""How each ONNX operator is quantized for the HTP: one row an operator.

Sources: the provider's documented node units (QNN-ExecutionProvider, 2.7.0), and one-operator
models with Q/DQ around them, compiled and run on the HTP simulator (QAIRT 2.51) for v68, v69, v73
and v75. An operator that is in no row stays in float.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

__all__ = ["OPERATORS", "Family", "OpRule", "Role"]


class Role(Enum):
    """What an input of an operator is to the quantizer."""

    DATA = auto()
    """An activation, or a constant in the place of one: the node's own integer type."""
    WEIGHT = auto()
    """A weight where it is constant (signed, one scale a channel), else `DATA`."""
    SCALE = auto()
    """A constant of a normalization: unsigned 8 bits, one scale."""
    BIAS = auto()
    """A constant at 32 bits, scale = scale of the data x scale of the weight."""
    PLAIN = auto()
    """Left as it is: indices, shapes, axes, limits, conditions."""


class Family(Enum):
    """How the encodings of an operator's inputs and outputs hang together."""

    COMPUTE = auto()
    """Outputs have encodings of their own."""
    MOVEMENT = auto()
    """Values are moved, not computed: data inputs and outputs share one encoding."""
    JOIN = auto()
    """Values are moved from several inputs: they share one encoding where nothing speaks against
    it, else the NPU converts."""
    CLAMP = auto()
    """Saturation does the work where the encoding's range is within the limits."""
    READ = auto()
    """Inputs are quantized, outputs are integers or booleans."""


@dataclass(frozen=True)
class OpRule:
    """One operator.

    Attributes:
        family: how encodings hang together.
        inputs: role of each input.
        rest: role of the inputs after those.
        weight_axis: channel axis of the weight, from the right if negative; None for one scale.
        second_8bit_below: under this architecture a computed second input of 16 bits is converted
            to 8 bits, as there is no 16 x 16 bit kernel.
    """

    family: Family
    inputs: tuple[Role, ...] = (Role.DATA,)
    rest: Role = Role.PLAIN
    weight_axis: int | None = None
    second_8bit_below: int = 0

    def role(self, index: int) -> Role:
        """Role of the input at `index`."""
        return self.inputs[index] if index < len(self.inputs) else self.rest


D, W, S, B, P = Role.DATA, Role.WEIGHT, Role.SCALE, Role.BIAS, Role.PLAIN

_UNARY = OpRule(Family.COMPUTE)
_BINARY = OpRule(Family.COMPUTE, (D, D))
_MOVEMENT = OpRule(Family.MOVEMENT)
_READ_ONE = OpRule(Family.READ)
_READ_TWO = OpRule(Family.READ, (D, D))


def _rows(names: str, rule: OpRule) -> dict[str, OpRule]:
    return dict.fromkeys(names.split(), rule)


OPERATORS: dict[str, OpRule] = {
    # Element by element, reductions, pools: own encodings in and out.
    **_rows("Abs Neg Sign Ceil Floor Round Sqrt Reciprocal Exp Log Sin Cos Atan Asin", _UNARY),
    **_rows("Elu Gelu HardSigmoid HardSwish LeakyRelu Sigmoid Softplus Swish Tanh", _UNARY),
    **_rows("Softmax LogSoftmax LpNormalization LRN CumSum", _UNARY),
    **_rows("AveragePool GlobalAveragePool GlobalMaxPool", _UNARY),
    **_rows("ReduceMean ReduceSum ReduceMax ReduceMin", _UNARY),
    **_rows("Add Sub Mul Div Pow PRelu GridSample", _BINARY),
    "Max": OpRule(Family.COMPUTE, rest=D),
    "Min": OpRule(Family.COMPUTE, rest=D),
    "Where": OpRule(Family.COMPUTE, (P, D, D)),
    "Einsum": OpRule(Family.COMPUTE, (D, D), second_8bit_below=73),
    # Saturation does their work.
    "Relu": OpRule(Family.CLAMP),
    "Clip": OpRule(Family.CLAMP),
    # Moving data: the provider takes the unit only where the encodings in and out are identical.
    **_rows("Identity Reshape Flatten Squeeze Unsqueeze Transpose Expand Tile Slice", _MOVEMENT),
    **_rows("Split Gather GatherElements DepthToSpace SpaceToDepth MaxPool Resize", _MOVEMENT),
    "Pad": OpRule(Family.MOVEMENT, (D, P, D)),
    "ScatterElements": OpRule(Family.MOVEMENT, (D, P, D)),
    "Concat": OpRule(Family.JOIN, rest=D),
    # With weights. Channel axes: output channels.
    "Conv": OpRule(Family.COMPUTE, (D, W, B), weight_axis=0, second_8bit_below=73),
    "ConvTranspose": OpRule(Family.COMPUTE, (D, W, B), weight_axis=1, second_8bit_below=73),
    "Gemm": OpRule(Family.COMPUTE, (D, W, B), weight_axis=1, second_8bit_below=73),
    # Two computed inputs of 16 bits: the provider converts the second to 8 bits on every
    # architecture (measured on v73 and v75 too); done here, the conversion is in the model.
    "MatMul": OpRule(Family.COMPUTE, (D, W), weight_axis=-1, second_8bit_below=1000),
    # Normalizations: an int8 scale sends LayerNormalization to the CPU.
    "LayerNormalization": OpRule(Family.COMPUTE, (D, S, B)),
    "RMSNormalization": OpRule(Family.COMPUTE, (D, S)),
    "InstanceNormalization": OpRule(Family.COMPUTE, (D, S, B)),
    # Mean and variance are those of the prepare stage, 0 and 1, and stay in float.
    "BatchNormalization": OpRule(Family.COMPUTE, (D, S, B)),
    # Answers that are not real numbers.
    **_rows("ArgMax ArgMin", _READ_ONE),
    **_rows("Equal Greater GreaterOrEqual Less LessOrEqual", _READ_TWO),
}
