"""What is said of an operator: the words of the table, and the shape of a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from math import prod

import onnx_ir as ir

MAX_RANK = 5
"""Dimensions that the NPU takes (onnxruntime-qnn 2.7.0, HTP v73)."""
NEVER = 1000
"""No architecture."""

U8, S8, U16, S16, S4 = (
    ir.DataType.UINT8,
    ir.DataType.INT8,
    ir.DataType.UINT16,
    ir.DataType.INT16,
    ir.DataType.INT4,
)


class Family(Enum):
    """What kind of work an operator does."""

    CONV = auto()
    GEMM = auto()
    ATTENTION = auto()
    RECURRENT = auto()
    NORMALIZATION = auto()
    SOFTMAX = auto()
    POOLING = auto()
    REDUCTION = auto()
    ARITHMETIC = auto()
    """Sums, products and choices of numbers at the same place."""
    MATH = auto()
    """Other functions of numbers at the same place."""
    ACTIVATION = auto()
    COMPARISON = auto()
    LOGIC = auto()
    MOVEMENT = auto()
    """Puts elements elsewhere, some of them through interpolation."""
    SEARCH = auto()
    """Places of elements, orders, selections."""
    SIGNAL = auto()
    """Running sums and transforms along an axis; whole matrices."""
    CONSTANT = auto()
    """Makes numbers out of shapes and attributes."""
    RANDOM = auto()
    QDQ = auto()
    INTEGER = auto()
    """Computes on quantized integers."""
    SEQUENCE = auto()
    CONTROL = auto()
    TEXT = auto()
    UNKNOWN = auto()


class Role(Enum):
    """What an input is to its operator."""

    DATA = auto()
    """Numbers that flow through; held in the node's own integer type where it is quantized."""
    WEIGHT = auto()
    """A weight where it is constant (quantized with a sign, one scale a channel), else data."""
    SCALE = auto()
    """Factors of a normalization (quantized without a sign, one scale)."""
    BIAS = auto()
    """Summands (quantized to 32 bits, scale = scale of the data x scale of the weight)."""
    INDICES = auto()
    """Places along an axis, which may count from the end."""
    SHAPE = auto()
    """Decides the output's shape by what it holds: sizes, pads, repeats, starts and ends."""
    AXES = auto()
    """Axes that go, come, or are resized; decides the output's shape too."""
    CONDITION = auto()
    LIMIT = auto()
    """Lower or upper bound."""
    OTHER = auto()
    """Anything else that is left as it is: statistics, states, scales, zero points."""

    @property
    def quantized(self) -> bool:
        """Whether such an input of a quantized node is quantized."""
        return self in (Role.DATA, Role.WEIGHT, Role.SCALE, Role.BIAS)


class Encodings(Enum):
    """How the encodings of an operator's inputs and outputs hang together."""

    OWN = auto()
    """Outputs have encodings of their own."""
    SHARED = auto()
    """Values are moved, not computed: data inputs and outputs share one encoding, as the provider
    takes the unit only where they are identical."""
    JOINED = auto()
    """Values are moved from several inputs: they share one encoding where nothing speaks against
    it, else the NPU converts."""
    CLAMPED = auto()
    """Saturation does the work where the encoding's range is within the limits."""
    READ = auto()
    """Inputs are quantized, outputs are integers or booleans."""


class Trait(Enum):
    """What holds of an operator, whoever asks."""

    ELEMENTWISE = auto()
    """Each output element comes from the input elements at its place alone."""
    BROADCASTS = auto()
    """Inputs of different shapes are broadcast to one, whichever of them is smaller."""
    COMMUTATIVE = auto()
    VARIADIC = auto()
    """Takes any number of inputs, and gives back a single one."""
    MOVES = auto()
    """Each output element is an element of a data input, or constant filling."""
    RESHAPES = auto()
    """Elements keep their order: only the shape changes."""
    HAS_AXIS = auto()
    """Works along the attribute `axis`, an axis of the first input, which may be negative."""
    ONE_IS_KEPT = auto()
    """A reduction that gives back a single element."""
    SUMS_CHANNELS = auto()
    """A layer: sums products of its input channels and a weight."""
    SCALABLE = auto()
    """Its output is scaled by channel where its constants are, and shifted where it has a bias."""
    KEEPS_FACTOR = auto()
    """A positive factor of a channel passes through (for Clip, with its limits)."""
    IGNORES_ZEROS = auto()
    """A reduction that zeros do not change."""
    NOT_NEGATIVE = auto()
    """No output element is below 0."""
    KEEPS_SIGN = auto()
    """No output element is below 0 where no element of a data input is."""
    FINITE = auto()
    """Gives finite numbers of finite inputs, whatever is masked; layers and normalizations too."""
    KEEPS_FINITE = auto()
    """Gives finite numbers where its data inputs are finite."""
    DATA_DEPENDENT_SHAPE = auto()
    """The output's shape depends on what the data holds."""


@dataclass(frozen=True)
class Shapes:
    """The shapes of one node, as its multiply-accumulates are counted; None where not fixed."""

    inputs: tuple[tuple[int, ...] | None, ...]
    outputs: tuple[tuple[int, ...] | None, ...]


Macs = Callable[[ir.Node, Shapes], int]
"""Multiply-accumulates of a node; one for each output element where it multiplies nothing."""


def _output_elements(_: ir.Node, shapes: Shapes) -> int:
    shape = shapes.outputs[0] if shapes.outputs else None
    return 0 if shape is None else prod(shape)


@dataclass(frozen=True)
class FixedRange:
    """An output range that is known before any sample is seen, which the NPU wants or needs.

    Attributes:
        low: its lower end.
        high: its upper end.
        above_bits: for types of more bits than these.
        spare_codes: left at either end.
        saturates: whether 16-bit encodings that hold a part of the range cut off the rest; others
            give wrong values for it, mostly of the other end.
        low_is_zero_point: whether 8-bit encodings are right with the lowest integer as the zero
            point only.

    Both were found on the simulator of QAIRT 2.51 for v68, v73 and v81: a Tanh of 16 bits in
    [-0.5, 0.8] has 7 dB, a Softmax of 8 bits in [-0.5, 0.8] -3 dB.
    """

    low: float
    high: float
    above_bits: int = 0
    spare_codes: int = 0
    saturates: bool = False
    low_is_zero_point: bool = False


_PLAIN = {U8: 68, S8: 68, U16: 68, S16: 68}


@dataclass(frozen=True, eq=False)
class Npu:
    """What the NPU takes of an operator.

    Sources: one-operator models on onnxruntime-qnn 2.7.0 (QAIRT 2.51.0); in float16 on HTP v73;
    with Q/DQ around them and int32 bias where there is one, CPU fallback disabled, compiled and run
    on the simulator for v68, v69, v73, v75, v79, v81 and v85.

    Attributes:
        domains: where the provider has an operator of this name; none where the NPU lacks it.
        reason: one clause that says why it lacks it.
        hint: what to do about that.
        data_types: activation type to the first architecture that has it.
        weighted: activation and weight (or scale) type to the first architecture; None where there
            is no such constant.
        depthwise: the same for a depthwise layer, where it differs.
        int4_by_channel: whether 4-bit weights need one scale a channel.
        second_8bit_below: under this architecture a computed second input of 16 bits is converted
            to 8 bits, as there is no 16 x 16 bit kernel.
        better_in_float: where 16 bits are not to be had, fp16 is better than 8 bits.
        fixed_range: the output's range, where samples do not decide it.
        wraps: a sum over the range wraps around from the largest value to the smallest, where
            others saturate (simulator of QAIRT 2.51).
        max_rank: dimensions that it takes, in some of its types.
    """

    domains: tuple[str, ...] = ("",)
    reason: str = ""
    hint: str = "Train the model with another operator, or cut it in front of this one."
    data_types: Mapping[ir.DataType, int] = field(default_factory=lambda: _PLAIN)
    weighted: Mapping[tuple[ir.DataType, ir.DataType], int] | None = None
    depthwise: Mapping[tuple[ir.DataType, ir.DataType], int] | None = None
    int4_by_channel: bool = False
    second_8bit_below: int = 0
    better_in_float: bool = False
    fixed_range: FixedRange | None = None
    wraps: bool = False
    max_rank: int = MAX_RANK


TAKEN = Npu()
"""An operator that the NPU has, in all integer types."""


def lacking(reason: str = "", hint: str = Npu.hint) -> Npu:
    """An operator that the NPU lacks; without a reason, the answer names the operator."""
    return Npu((), reason, hint)


@dataclass(frozen=True, eq=False)
class OpSpec:
    """One row: an ONNX operator, in its form at opset 21 unless its row says another.

    Attributes:
        family: what kind of work it does.
        roles: what each input is to it.
        rest: what the inputs after those are.
        traits: what holds of it.
        encodings: how it is quantized; None where snapq knows no integer kernel of the NPU.
        channel_axis: the axis of the output's channels, from the end if negative.
        weight_axis: the axis of the output channels in its weight, from the end if negative; None
            for one scale.
        macs: counts multiply-accumulates.
        npu: what the NPU takes.
    """

    family: Family
    roles: tuple[Role, ...] = (Role.DATA,)
    rest: Role = Role.OTHER
    traits: frozenset[Trait] = frozenset()
    encodings: Encodings | None = None
    channel_axis: int | None = None
    weight_axis: int | None = None
    macs: Macs = _output_elements
    npu: Npu = TAKEN

    def role(self, index: int) -> Role:
        """Role of the input at `index`."""
        return self.roles[index] if index < len(self.roles) else self.rest

    @property
    def follows(self) -> bool:
        """Whether a quantized output has the type of what comes in."""
        return self.encodings in (Encodings.SHARED, Encodings.JOINED, Encodings.CLAMPED)

    def has(self, *traits: Trait) -> bool:
        """Whether all of these hold."""
        return self.traits.issuperset(traits)


def rows(names: str, spec: OpSpec) -> dict[str, OpSpec]:
    """The same row for several operators, named in one text."""
    return dict.fromkeys(names.split(), spec)
