"""Options of the stages that make integers: quantize, repair and cluster."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from snapq.config.schema.base import FilePath, Names, StageConfig, Strict
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
    """Type of their inputs and outputs."""
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

    The budget is checked on held-out samples: a quarter of the calibration samples, at most
    `samples` of them.
    """

    max_drop: Annotated[float, Field(ge=0)] | None = None
    """Float metric minus metric, on the held-out samples: with their labels, or for top1 and top5
    with the float model's predictions in their place."""
    min_sqnr_db: float | None = None
    """Lowest output SQNR against the float model on the held-out samples, in dB."""
    to: Annotated[tuple[Literal["int8", "uint16", "float16"], ...], Field(min_length=1)] = (
        "int8",
        "uint16",
        "float16",
    )
    """Types to promote nodes to; the fastest by the device's estimate is kept. `int8` is for
    weights alone, where the stage's are int4; `uint16` is for activations, and gives weights more
    bits too where the node is sensitive to theirs; `float16` leaves nodes in float."""
    samples: Annotated[int, Field(gt=0)] = 16
    """Most held-out samples that the budget is checked on."""

    @model_validator(mode="after")
    def _one_budget(self) -> MixedPrecision:
        if (self.max_drop is None) == (self.min_sqnr_db is None):
            raise ValueError(
                "Give exactly one of `max_drop`, `min_sqnr_db`, such as "
                "`mixed_precision: {min_sqnr_db: 30}`."
            )
        return self


class Goal(Strict):
    """What is good enough: exactly one of `max_drop`, `min_sqnr_db`, on held-out samples."""

    max_drop: Annotated[float, Field(ge=0)] | None = None
    """By how much the metric may get worse, in its own unit. Samples need labels under
    data.calibration; for top1 and top5 the float model's predictions stand in for them."""
    min_sqnr_db: float | None = None
    """Lowest SQNR of any output, or of a group of its channels, against the float model, in dB."""
    samples: Annotated[int, Field(gt=0)] = 16
    """Most held-out samples that it is checked on: a quarter of those of calibration."""

    @model_validator(mode="after")
    def _one(self) -> Goal:
        if (self.max_drop is None) == (self.min_sqnr_db is None):
            raise ValueError(
                "Give exactly one of `max_drop`, `min_sqnr_db`, such as `goal: {min_sqnr_db: 30}`."
            )
        return self


PRECISIONS: dict[str, tuple[WeightType, ActivationType]] = {
    "auto": (WeightType.INT8, ActivationType.UINT8),
    "w8a8": (WeightType.INT8, ActivationType.UINT8),
    "w8a16": (WeightType.INT8, ActivationType.UINT16),
    "w4a8": (WeightType.INT4, ActivationType.UINT8),
    "w4a16": (WeightType.INT4, ActivationType.UINT16),
    "w16a16": (WeightType.INT16, ActivationType.UINT16),
    "fp16": (WeightType.INT8, ActivationType.FLOAT16),
}
"""Weights and activations by short name; of `auto` what the search begins with."""
DEFAULT_GOAL_DB = 30.0


class PercentileObserver(Strict):
    """The observer `percentile` with a share of its own."""

    percentile: Annotated[float, Field(gt=50, le=100)]
    """Percent of a tensor's values that the range covers; the rest is clipped, half of it on each
    side. `percentile` alone is 99.99; 100 is min-max."""


class QuantizeConfig(StageConfig):
    """Post-training quantization from the calibration samples."""

    precision: Literal["auto", "w8a8", "w8a16", "w4a8", "w4a16", "w16a16", "fp16"] | None = None
    """`auto`: for each kind of device the fastest mix of 4-bit weights, 8 bits, 16 bits and fp16,
    by its estimate, that reaches `goal` on the simulator. The others are short for `weights` and
    `activations`."""
    goal: Goal | None = None
    """With `precision: auto`: what is good enough; 30 dB where not given."""
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
    """`fast` measures ranges and rounds; `balanced` also evens channels, corrects biases and
    chooses ranges; `best` tries every algorithm and compares outputs on the simulator. A step is
    kept only where it lowers the error of the outputs on held-out calibration samples."""
    observer: ObserverName | PercentileObserver | None = None
    """The rule for the ranges of all activations: `min-max`, `moving-average`, `percentile`,
    `entropy`, `mse`, `sqnr`, `activation-mse` or `auto`, or `{percentile: 99.9}`; the preset's
    choice where not given."""
    algorithms: tuple[str, ...] | None = None
    """Algorithms to try, in this order, instead of the preset's; `[]` for none."""
    overrides: tuple[Override, ...] = ()
    """Other precisions for single nodes; a later override wins."""
    precision_rules: bool = True
    """Keep ops that 8 bits break or slow down at 16 bits or in fp16: spectral front ends in fp16,
    up to a root or a logarithm; at 16 bits roots of squares, the cells of recurrent layers, the
    coordinates of a GridSample, distances to the rows of a codebook, and depthwise filters too long
    for the 8-bit kernel; what makes boxes of distances and anchors, where that takes at most 5 %
    more by the estimate; with `best`, small output layers too, where that helps. Overrides come
    first; the notes name the nodes."""
    encodings: FilePath | None = None
    """A file of AIMET encodings (0.6.1 or 1.0) for this model: its types and ranges are used, and
    only tensors without an encoding are calibrated."""
    mixed_precision: MixedPrecision | None = None
    """Promote nodes to a higher precision until an accuracy budget is met."""
    never_slower: bool = True
    """Give 16 bits to nodes that run faster at 16 bits than at 8, and leave nodes in fp16 whose
    quantization makes the estimate worse than the fp16 model's; only where all devices have these
    types, and not with `encodings`. At 16 bits, also bring scales of a weight nearer to each other
    where that is faster and loses nothing (with `best` always)."""

    @model_validator(mode="after")
    def _short_names(self) -> QuantizeConfig:
        """Writes out what `precision` is short for."""
        if self.precision is None:
            return self
        if self.precision == "auto" and self.mixed_precision is not None:
            raise ValueError("`precision: auto` says what `mixed_precision` says: give one.")
        for key, own in zip(("weights", "activations"), PRECISIONS[self.precision], strict=True):
            if key in self.model_fields_set and getattr(self, key) is not own:
                raise ValueError(f"`precision: {self.precision}` says what `{key}` says: give one.")
            # A validator in front of the fields would make lists of the YAML Python's, which the
            # strict reader takes for no tuples.
            self.__dict__[key] = own
        return self

    @model_validator(mode="after")
    def _goal_of_auto(self) -> QuantizeConfig:
        if self.goal is not None and self.precision != "auto":
            raise ValueError("`goal` belongs to `precision: auto`.")
        if self.precision == "auto" and self.encodings is not None:
            raise ValueError(
                "`encodings` give the type of each tensor, and `precision: auto` would choose it: "
                "give one of them."
            )
        return self

    @property
    def budget(self) -> MixedPrecision | None:
        """What a search for a mix of precisions has to keep; None where none is asked for."""
        if self.precision != "auto":
            return self.mixed_precision
        goal = self.goal or Goal(min_sqnr_db=DEFAULT_GOAL_DB)
        return MixedPrecision(**goal.model_dump())

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
                "`encodings` give the type of each tensor, and `mixed_precision` would choose it: "
                "give one of them."
            )
        return self


class RepairConfig(StageConfig):
    """Rewrite a model that another tool quantized into the form that the NPU takes.

    It runs by itself after `prepare` where the model has Q/DQ and no `quantize` is named. The
    model's encodings are kept; missing ones are calibrated.
    """


class ClusterConfig(StageConfig):
    """Weight sharing: each group of weights has few values, which are integers of 8 bits.

    It makes the compressed download smaller. The compiled model gets smaller only where the values
    are evenly spaced and at most 16: these are stored as int4.
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
