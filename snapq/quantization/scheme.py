"""What the user asked for: types of weights and activations, and for which architecture."""

from __future__ import annotations

from dataclasses import dataclass

from snapq.precision import ActivationType, WeightType
from snapq.quantization.encodings import QuantType

__all__ = ["Scheme"]


@dataclass(frozen=True)
class Scheme:
    """The precision of a whole model.

    Attributes:
        weights: type of the weights of Conv, ConvTranspose, Gemm and MatMul. `int8` is symmetric;
            `uint8` is asymmetric and has one scale a tensor, as the NPU has it in no other form.
        activations: type of everything that flows between operators.
        per_channel: one scale an output channel for `int8` weights.
        architecture: Hexagon version (73 for v73), the lowest of all targets.
    """

    weights: WeightType = WeightType.INT8
    activations: ActivationType = ActivationType.UINT8
    per_channel: bool = True
    architecture: int = 73

    @property
    def activation_type(self) -> QuantType:
        """The type of activations."""
        return QuantType(self.activations.value)

    @property
    def weight_type(self) -> QuantType:
        """The type of weights."""
        return QuantType(self.weights.value)
