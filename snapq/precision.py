"""Precisions: data types of weights and activations, their short names, and the presets."""

from __future__ import annotations

from enum import StrEnum


class WeightType(StrEnum):
    """Data type of quantized weights."""

    INT4 = "int4"
    INT8 = "int8"
    UINT8 = "uint8"
    INT16 = "int16"

    @property
    def bits(self) -> int:
        """Bits of one value."""
        return int(self.value.removeprefix("u").removeprefix("int"))


class ActivationType(StrEnum):
    """Data type of activations; `float16` is not quantized."""

    INT8 = "int8"
    UINT8 = "uint8"
    UINT16 = "uint16"
    FLOAT16 = "float16"

    @property
    def bits(self) -> int:
        """Bits of one value."""
        return 8 if self in (ActivationType.INT8, ActivationType.UINT8) else 16


class PairPrecision(StrEnum):
    """Weights and activations of a language model, whose cache has 8 bits."""

    W8A16 = "w8a16"
    W4A16 = "w4a16"
    """Weights of queries, keys, gate and up in 4 bits, all others in 8."""


class Promotion(StrEnum):
    """The type that a node is promoted to where its precision is too low."""

    INT8 = "int8"
    """Weights of 8 bits instead of 4; activations keep their type."""
    UINT16 = "uint16"
    """Activations of 16 bits, and weights of more bits where the node is sensitive to theirs."""
    FLOAT16 = "float16"


class Preset(StrEnum):
    """How much effort a quantize stage spends on accuracy."""

    FAST = "fast"
    BALANCED = "balanced"
    BEST = "best"


class ObserverName(StrEnum):
    """Rules that make a quantization range of a tensor's calibration statistics."""

    MIN_MAX = "min-max"
    MOVING_AVERAGE = "moving-average"
    PERCENTILE = "percentile"
    ENTROPY = "entropy"
    MSE = "mse"
    SQNR = "sqnr"
    ACTIVATION_MSE = "activation-mse"
    AUTO = "auto"


SMALLEST_FLOAT16 = 2.0**-14
"""The smallest number of which fp16 has all bits; the NPU takes much of what is below for 0."""


def precision_name(weights: WeightType, activations: ActivationType) -> str:
    """Short name of a precision: weights, then activations, such as `w8a16`; `fp16` for float."""
    if activations is ActivationType.FLOAT16:
        return "fp16"
    return f"w{weights.bits}a{activations.bits}"
