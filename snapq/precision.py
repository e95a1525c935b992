"""Precisions: data types of weights and activations, and their short names."""

from __future__ import annotations

from enum import StrEnum


class WeightType(StrEnum):
    """Data type of quantized weights."""

    INT8 = "int8"
    UINT8 = "uint8"

    @property
    def bits(self) -> int:
        """Bits of one value."""
        return 8


class ActivationType(StrEnum):
    """Data type of quantized activations."""

    UINT8 = "uint8"
    UINT16 = "uint16"

    @property
    def bits(self) -> int:
        """Bits of one value."""
        return 8 if self is ActivationType.UINT8 else 16


def precision_name(weights: WeightType, activations: ActivationType) -> str:
    """Short name of a precision: weights, then activations, such as `w8a16`."""
    return f"w{weights.bits}a{activations.bits}"
