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
    """Data type of what flows between operators; `float16` is not quantized."""

    INT8 = "int8"
    UINT8 = "uint8"
    UINT16 = "uint16"
    FLOAT16 = "float16"

    @property
    def bits(self) -> int:
        """Bits of one value."""
        return 8 if self in (ActivationType.INT8, ActivationType.UINT8) else 16


class Promotion(StrEnum):
    """What nodes are given where a precision is too low: the name of the type that they get."""

    INT8 = "int8"
    """Weights of 8 bits in the place of 4; activations stay."""
    UINT16 = "uint16"
    """Activations of 16 bits, and weights of more bits where those hurt."""
    FLOAT16 = "float16"


class Preset(StrEnum):
    """How much a quantize stage tries to keep accuracy."""

    FAST = "fast"
    BALANCED = "balanced"
    BEST = "best"


class ObserverName(StrEnum):
    """Rules that turn what calibration saw of a tensor into the range that is quantized."""

    MIN_MAX = "min-max"
    MOVING_AVERAGE = "moving-average"
    PERCENTILE = "percentile"
    ENTROPY = "entropy"
    MSE = "mse"
    SQNR = "sqnr"
    AUTO = "auto"


def precision_name(weights: WeightType, activations: ActivationType) -> str:
    """Short name of a precision: weights, then activations, such as `w8a16`; `fp16` for float."""
    if activations is ActivationType.FLOAT16:
        return "fp16"
    return f"w{weights.bits}a{activations.bits}"
