"""Options of the stages that make integers: quantize, repair and cluster."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    Field,
    model_validator,
)

from snapq.config.schema.base import (
    FilePath,
    Names,
    Strict,
)
from snapq.precision import ActivationType, ObserverName, Preset, WeightType


class Override(Strict):
    """Another precision for some nodes of the prepared model; one that matches none is an error."""

    nodes: Names = ()
    """Names of nodes."""
    pattern: str | None = None
    """Names of nodes with `*`, `?` and `[…]`, such as `/encoder/*/MatMul*`."""
    op_type: str | None = None
    """An ONNX operator: all its nodes."""
    weights: WeightType | None = None
    """Type of their weights."""
    activations: ActivationType | None = None
    """Type of what they take and give."""
    keep: Literal["float"] | None = None
    """Leave them in float: fp16 on the NPU."""

    @model_validator(mode="after")
    def _complete(self) -> Override:
        if sum(map(bool, (self.nodes, self.pattern, self.op_type))) != 1:
            raise ValueError("An override names its nodes by one of `nodes`, `pattern`, `op_type`.")
        types = bool(self.weights or self.activations)
        if types == bool(self.keep):
            raise ValueError("An override gives `weights` and `activations`, or `keep: float`.")
        return self


class MixedPrecision(Strict):
    """Give the fewest nodes more bits that keep a budget: exactly one of `max_drop`, `min_sqnr_db`.

    A quarter of the calibration samples, at most `samples`, is held out and judges.
    """

    max_drop: Annotated[float, Field(ge=0)] | None = None
    """Float metric minus metric, on the held-out samples: with their labels, or for top1 and top5
    with the float model's own answers in their place."""
    min_sqnr_db: float | None = None
    """Lowest output SQNR against the float model on the held-out samples, in dB."""
    to: Annotated[tuple[Literal["int8", "uint16", "float16"], ...], Field(min_length=1)] = (
        "int8",
        "uint16",
        "float16",
    )
    """What to promote nodes to; what is fastest by the device's estimate stays. `int8` is for the
    weights alone where the stage's are int4; `uint16` is for activations, and gives weights more
    bits too where those hurt; `float16` leaves nodes in float."""
    samples: Annotated[int, Field(gt=0)] = 16
    """How many held-out samples judge, at most."""

    @model_validator(mode="after")
    def _one_budget(self) -> MixedPrecision:
        if (self.max_drop is None) == (self.min_sqnr_db is None):
            raise ValueError(
                "Give exactly one of `max_drop`, `min_sqnr_db`, such as "
                "`mixed_precision: {min_sqnr_db: 30}`."
            )
        return self


class PercentileObserver(Strict):
    """The observer `percentile` with a share of its own."""

    percentile: Annotated[float, Field(gt=50, le=100)]
    """Percent of a tensor's values that the range holds; what is left lies outside, half of it on
    each side. 99.99 is what `percentile` alone means; 100 is min-max."""


class QuantizeConfig(Strict):
    """Post-training quantization from the calibration samples."""

    weights: WeightType = WeightType.INT8
    """int8 is symmetric, the NPU's own form; uint8 is asymmetric. int4 halves the weights
    (depthwise layers stay at int8); int16 goes with uint16 activations, from v73 on."""
    activations: ActivationType = ActivationType.UINT8
    """uint8 (w8a8) is the fastest; uint16 (w8a16) keeps more accuracy and is slower; float16
    quantizes only what `overrides` name."""
    block: Literal[16, 32, 64, 128, 256] | None = None
    """Input channels that share a scale in 4-bit weights, with uint16 activations: closer to float
    than one scale a channel, for about the same time. For products of matrices and convolutions of
    one tap; the notes name the layers that cannot have it."""
    per_channel: bool = True
    """One scale an output channel for the weights of Conv, ConvTranspose and Gemm."""
    preset: Preset = Preset.BALANCED
    """`fast` measures ranges and rounds; `balanced` also corrects biases and chooses ranges; `best`
    tries every algorithm, and the simulator judges. A step stays only where it brings the outputs
    on held-out calibration samples nearer to the float model's."""
    observer: ObserverName | PercentileObserver | None = None
    """The one rule for ranges of activations: `min-max`, `moving-average`, `percentile`, `entropy`,
    `mse`, `sqnr` or `auto`, or `{percentile: 99.9}`; the preset's choice where not given."""
    algorithms: tuple[str, ...] | None = None
    """Algorithms to try, in this order, instead of the preset's; `[]` for none."""
    overrides: tuple[Override, ...] = ()
    """Other precisions for single nodes; a later override wins."""
    keep_wide: bool = True
    """Hold what 8 bits ruin or slow down wider, by rule: spectral front ends in float, up to a root
    or a logarithm; at 16 bits roots of squares, the cells of recurrent layers, the places at which
    a GridSample reads, and depthwise filters too long for the 8-bit kernel; with `best`, small
    layers that give outputs too, where that helps. Overrides win; the notes name the nodes."""
    encodings: FilePath | None = None
    """A file of AIMET encodings (0.6.1 or 1.0) made for this model: they are imposed, types too,
    and only what they leave out is calibrated."""
    mixed_precision: MixedPrecision | None = None
    """Promote nodes to a higher precision until an accuracy budget is kept."""
    never_slower: bool = True
    """Give nodes 16 bits that are quicker so than at 8, and leave nodes in fp16 that make the
    estimate worse than that of the model at fp16; where all devices have these, and no `encodings`
    are imposed."""

    @model_validator(mode="after")
    def _blocks_fit(self) -> QuantizeConfig:
        fits = self.weights is WeightType.INT4 and self.activations is ActivationType.UINT16
        if self.block is not None and not (fits and self.per_channel):
            raise ValueError(
                "`block` is for `weights: int4` with `activations: uint16`: the NPU has blocks for "
                "no other types."
            )
        return self

    @model_validator(mode="after")
    def _one_source_of_types(self) -> QuantizeConfig:
        if self.encodings is not None and self.mixed_precision is not None:
            raise ValueError(
                "`encodings` say the type of each tensor, so there is nothing for "
                "`mixed_precision` to choose: give one of them."
            )
        return self


class RepairConfig(Strict):
    """Bring a model that another tool quantized into the form that the NPU takes.

    It runs on its own behind `prepare` where the model has Q/DQ and no `quantize` is named. Its
    encodings stay; what is missing is measured on the calibration samples.
    """


class ClusterConfig(Strict):
    """Weight sharing: each group of weights has few values, which are integers of 8 bits.

    It makes the compressed download smaller. What runs gets smaller only where the values are
    evenly spaced and at most 16, as these are stored as int4.
    """

    clusters: Literal[2, 4, 8, 16, 32, 64, 128] = 32
    """Values a codebook."""
    spacing: Literal["free", "even"] = "free"
    """`free`: the values with the least error; `even`: multiples of one step a channel."""
    channels: Annotated[int, Field(gt=0)] | None = None
    """Output channels that share a codebook; all of a layer where not given."""
    smallest: Annotated[int, Field(gt=0)] = 1024
    """Layers with fewer weights than this are left as they are, depthwise ones always."""
    keep: Names = ()
    """Names of nodes of the prepared model whose weights are left as they are."""
