"""What the user asked for: types of weights and activations, and for which architecture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from snapq.precision import ActivationType, WeightType
from snapq.quantization.calibration.observers.base import Observer
from snapq.quantization.calibration.observers.minmax import MinMax
from snapq.quantization.encodings import QuantType
from snapq.quantization.granularity import PER_OUTPUT, Granularity

__all__ = ["NodePrecision", "Scheme", "Source", "integer_type"]


class Source(Enum):
    """Who says which precision a node has."""

    USER = auto()
    RULE = auto()
    """A rule of snapq."""
    ESTIMATE = auto()
    """The estimated time."""


@dataclass(frozen=True)
class NodePrecision:
    """The precision of one node; None where the scheme's own holds.

    Attributes:
        weights: type of its weight.
        activations: type of its data in and out; `float16` keeps the whole node in float.
        reason: why, for the notes.
        source: who says so.
    """

    weights: WeightType | None = None
    activations: ActivationType | None = None
    reason: str = "an override"
    source: Source = Source.USER


@dataclass(frozen=True)
class Scheme:
    """The precision of a whole model.

    Attributes:
        weights: type of the weights of Conv, ConvTranspose, Gemm and MatMul. Signed types are
            symmetric; `uint8` is asymmetric and has one scale a tensor, as the NPU has it in no
            other form.
        granularity: of signed weights, seen as `[O, I]`: `PER_OUTPUT`, a scale an output channel,
            whatever axis that is; `PER_TENSOR`; or `PerBlock(1, size)`, blocks of input channels
            for 4-bit weights where the NPU has that, and `PER_OUTPUT` for all others.
        activations: type of everything that flows between operators; `float16` quantizes only
            what `per_node` names.
        architecture: Hexagon version (73 for v73), the lowest of all devices.
        per_node: precision of single nodes by name, see `overrides.resolve`. A node that moves
            data follows what comes in unless it is named here.
        observer: sets the ranges of activations.
        ranges: of single tensors of 8 bits by name, in the place of the observer's.
        keep_wide: whether the rules of `wide` hold.
        float16: whether all devices compute floats, which is a matter of the SoC.
        scales_apart: how many times the smallest scale of a weight its largest may be at most,
            where it is multiplied with data of 16 bits: far apart they can take the NPU longer.
            None: as far as the data's steps.
        second_8bit: whether a computed second operand of a product that is held in 8 bits is read
            so beside a first of 16, as the cache of a language model; else it is converted.
    """

    weights: WeightType = WeightType.INT8
    activations: ActivationType = ActivationType.UINT8
    granularity: Granularity = PER_OUTPUT
    architecture: int = 73
    per_node: Mapping[str, NodePrecision] = field(default_factory=dict)
    observer: Observer = field(default_factory=MinMax)
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    keep_wide: bool = True
    float16: bool = True
    scales_apart: int | None = None
    second_8bit: bool = False

    @property
    def activation_type(self) -> QuantType | None:
        """The type of activations; None where they stay in float."""
        return integer_type(self.activations)

    def precision(self, node: str) -> tuple[WeightType, ActivationType]:
        """Types of one node's weights and activations."""
        own = self.per_node.get(node, NodePrecision())
        return own.weights or self.weights, own.activations or self.activations

    @property
    def largest_activation_bits(self) -> int:
        """Bits of the widest integer type that any node's activations may have; 0 for none."""
        types = [self.activations, *(own.activations for own in self.per_node.values())]
        return max((found.bits for one in types if one and (found := integer_type(one))), default=0)


def integer_type(activations: ActivationType) -> QuantType | None:
    """The integer type of activations; None for float."""
    return None if activations is ActivationType.FLOAT16 else QuantType(activations.value)
