"""The schema of deploy.yaml: the one place where it is defined.

`snapq.config_file.load` reads a YAML file into these models and turns what pydantic finds into
errors with file and line. The JSON Schema that `snapq schema` prints is exported from here: the
docstrings below are its descriptions, and the sentences of the validators are what a user reads.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from snapq.precision import ActivationType, Preset, WeightType
from snapq.ranking import Importance

FUNCTION_PATTERN = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"
"""`module:function`."""


class Strict(BaseModel):
    """A model that refuses unknown keys and cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Color(StrEnum):
    """Order of the channels in which the model wants an image."""

    RGB = "rgb"
    BGR = "bgr"
    GRAY = "gray"


class Resample(StrEnum):
    """Filter with which Pillow resizes an image."""

    NEAREST = "nearest"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    LANCZOS = "lanczos"


def _path(value: Any) -> Any:
    """Refuses an empty text, which would be the current folder."""
    if value == "":
        raise ValueError("The path is empty.")
    return value


FilePath = Annotated[
    Path,
    BeforeValidator(_path),
    WithJsonSchema({"type": "string", "format": "path", "minLength": 1}),
]
"""A file or folder, relative to the YAML file's folder."""


def _one_or_many(value: Any) -> Any:
    """Makes a tuple of a single number: `mean: 127` is `mean: [127]`."""
    if isinstance(value, list):
        return tuple(value)
    return (value,) if isinstance(value, int | float) else value


PerChannel = Annotated[
    tuple[float, ...],
    Field(min_length=1),
    BeforeValidator(_one_or_many),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number"},
                {"type": "array", "items": {"type": "number"}, "minItems": 1},
            ]
        }
    ),
]
Size = Annotated[int, Field(gt=0)] | tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]]


class Preprocess(Strict):
    """From an image file to what the model's input wants: resize, crop, then `(x - mean) / std`."""

    resize: Size | None = None
    """Length of the shorter side in pixels (the ratio is kept), or `[height, width]` exactly."""
    crop: Size | None = None
    """Size of the centre crop in pixels: one number for a square, or `[height, width]`."""
    mean: PerChannel = (0.0,)
    """Subtracted from pixels of 0..255; one number, or one a channel."""
    std: PerChannel = (1.0,)
    """Pixels are divided by this after `mean` is subtracted; one number, or one a channel."""
    color: Color = Color.RGB
    """Order of the channels that the model was trained on."""
    resample: Resample = Resample.BILINEAR
    """Filter for `resize`."""

    @field_validator("std")
    @classmethod
    def _above_zero(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(v <= 0 for v in value):
            raise ValueError("Each std must be above 0: pixels are divided by it.")
        return value

    @model_validator(mode="after")
    def _channels_agree(self) -> Preprocess:
        counts = {len(values) for values in (self.mean, self.std) if len(values) > 1}
        channels = 1 if self.color is Color.GRAY else 3
        if not counts <= {channels}:
            raise ValueError(
                f"An image of color {self.color.value} has {channels} channel"
                f"{'s' if channels > 1 else ''}; mean has {len(self.mean)} values and std"
                f" {len(self.std)}. Give one number, or one a channel."
            )
        return self


_SOURCES = ("images", "arrays", "python", "random")


class DataSource(Strict):
    """Samples: exactly one of `images`, `arrays`, `python`, `random`."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": [key], "properties": {key: {"not": {"type": "null"}}}}
                for key in _SOURCES
            ]
        }
    )

    images: FilePath | None = None
    """A folder of images (searched recursively, sorted by name) or one image."""
    arrays: FilePath | None = None
    """A `.npy` (one input), an `.npz` (a key an input), or a folder of such files, a sample each.
    A single file holds its samples along the first axis."""
    python: Annotated[str, Field(pattern=FUNCTION_PATTERN)] | None = None
    """`module:function`: called without arguments, yields `{input: array}` or
    `({input: array}, label)`."""
    random: Literal[True] | None = None
    """Random inputs, only for trying things out: every result that rests on them is marked."""
    samples: Annotated[int, Field(gt=0)] | None = None
    """How many samples to use, evenly spaced over what there is (of a function, the first ones);
    all when not given."""
    labels: FilePath | None = None
    """CSV with the columns `file,label` (images), a `.npy` of labels (arrays), or a folder of
    masks named as the images (segmentation)."""
    preprocess: Preprocess | None = None
    """For `images`: how a picture becomes the input."""
    input: str | None = None
    """The model input that `images` or a `.npy` feeds, where the model has several."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of `random`."""
    state: Annotated[dict[str, str], Field(min_length=1)] | None = None
    """Of a model with state: output to the input that takes it at the next step, such as
    `{stateN: state}`. The samples then are the steps of a sequence, in order, without these
    inputs; the first `samples` of them are used."""
    steps: Annotated[int, Field(gt=0)] | None = None
    """With `state`: length of a sequence; at the start of each the state is zero."""

    @model_validator(mode="after")
    def _one_source(self) -> DataSource:
        given = [key for key in _SOURCES if getattr(self, key) is not None]
        if len(given) != 1:
            found = " and ".join(given) if given else "none of them"
            raise ValueError(f"Give exactly one of {', '.join(_SOURCES)}; there is {found}.")
        if self.preprocess is not None and self.images is None:
            raise ValueError(f"`preprocess` belongs to `images`; `{given[0]}` gives ready inputs.")
        if self.steps is not None and self.state is None:
            raise ValueError("`steps` belongs to `state`.")
        if self.state is not None and len(set(self.state.values())) < len(self.state):
            raise ValueError("Two outputs of `state` go to the same input.")
        if self.labels is not None and self.random:
            raise ValueError("Random inputs have no labels.")
        return self


class Data(Strict):
    """The samples that a run uses."""

    calibration: DataSource | None = None
    """What the ranges of activations are measured on; 50 to 500 typical samples."""
    evaluation: DataSource | None = None
    """What accuracy is measured on, float against the simulated package."""
    training: DataSource | None = None
    """What the finetune stage learns from; labels are used where given. The calibration samples
    where not given. Never the evaluation samples: their score would mean nothing."""


class Model(Strict):
    """The float model to deploy."""

    path: FilePath
    """The ONNX file."""
    inputs: dict[str, int | float | tuple[Annotated[int, Field(gt=0)], ...]] = Field(
        default_factory=dict
    )
    """Shape of each input, such as `[1, 3, 224, 224]`: freezes dynamic dimensions and overrides
    what the file declares. A number in place of a shape fixes an input that never changes, such as
    a sample rate, to that number."""


class IoDtype(StrEnum):
    """What the package takes and gives."""

    QUANTIZED = "quantized"
    FLOAT = "float"


class IoLayout(StrEnum):
    """Layout of image inputs and outputs at the package's boundary."""

    NHWC = "nhwc"
    AS_IS = "as-is"


class Io(Strict):
    """The graph's boundary; by default quantized NHWC for images, float and as-is elsewhere."""

    dtype: IoDtype | None = None
    """`quantized`: raw uint8 frames go in and the normalization is folded into the model."""
    layout: IoLayout | None = None
    """`nhwc`: images enter as cameras and decoders give them; `as-is`: as the float model."""


class PrepareConfig(Strict):
    """Freeze shapes, upgrade the opset, fold constants, fuse, rewrite to what the NPU has."""

    skip: tuple[str, ...] = ()
    """Names of rewrites to leave out (`snapq inspect` lists them)."""


def _name_or_names(value: Any) -> Any:
    """Makes a tuple of a single name."""
    return (value,) if isinstance(value, str) else value


Names = Annotated[
    tuple[str, ...],
    BeforeValidator(_name_or_names),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]


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
    to: Annotated[tuple[Literal["uint16", "float16"], ...], Field(min_length=1)] = (
        "uint16",
        "float16",
    )
    """The higher precisions to try; what is faster by the target's estimate stays."""
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


class QuantizeConfig(Strict):
    """Post-training quantization from the calibration samples."""

    weights: WeightType = WeightType.INT8
    """int8 is symmetric, the NPU's own form; uint8 is asymmetric. int4 halves the weights
    (depthwise layers stay at int8); int16 goes with uint16 activations, from v73 on."""
    activations: ActivationType = ActivationType.UINT8
    """uint8 (w8a8) is the fastest; uint16 (w8a16) keeps more accuracy and is slower; float16
    quantizes only what `overrides` name."""
    per_channel: bool = True
    """One scale an output channel for the weights of Conv, ConvTranspose and Gemm."""
    preset: Preset = Preset.BALANCED
    """`fast` measures ranges and rounds; `balanced` also corrects biases and chooses ranges; `best`
    tries every algorithm, and the simulator judges. A step stays only where it brings the outputs
    on held-out calibration samples nearer to the float model's."""
    observer: str | None = None
    """The one rule for ranges of activations: `min-max`, `moving-average`, `percentile`, `entropy`,
    `mse`, `sqnr` or `auto`; the preset's choice where not given."""
    algorithms: tuple[str, ...] | None = None
    """Algorithms to try, in this order, instead of the preset's; `[]` for none."""
    overrides: tuple[Override, ...] = ()
    """Other precisions for single nodes; a later override wins."""
    encodings: FilePath | None = None
    """A file of AIMET encodings (0.6.1 or 1.0) made for this model: they are imposed, types too,
    and only what they leave out is calibrated."""
    mixed_precision: MixedPrecision | None = None
    """Promote nodes to a higher precision until an accuracy budget is kept."""
    never_slower: bool = True
    """Leave nodes in fp16 that make the estimate worse than that of the model at fp16; where all
    targets have fp16, and no `encodings` are imposed."""

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


class Losses(Strict):
    """How much each loss of training counts; 0 leaves it out."""

    output: Annotated[float, Field(ge=0)] = 1.0
    """Outputs against the float original's."""
    feature: Annotated[float, Field(ge=0)] = 0.1
    """Values inside the graph against the float original's."""
    label: Annotated[float, Field(ge=0)] = 0.5
    """Classes against labels, where data.training has them."""

    @model_validator(mode="after")
    def _one_above_zero(self) -> Losses:
        if not (self.output or self.feature or self.label):
            raise ValueError("All losses are 0, so there is nothing to train for.")
        return self


class FinetuneConfig(Strict):
    """Win accuracy back by training (extra `train`): the float model teaches, labels are optional.

    Before quantize it trains the float model; after it, weights and scales of the quantized one.
    """

    epochs: Annotated[int, Field(gt=0)] | None = None
    """How often each sample is seen; 10 where neither this nor `steps` is given."""
    steps: Annotated[int, Field(gt=0)] | None = None
    """Number of updates, in place of epochs."""
    lr: Annotated[float, Field(gt=0, le=1)] = 1e-3
    """Learning rate at its highest, relative: the share by which an update changes a weight of
    usual size. It falls along a cosine."""
    batch: Annotated[int, Field(gt=0)] = 16
    """Samples an update."""
    losses: Losses = Losses()
    """How much each loss counts."""
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the training samples that judge: the state that is best on them is kept."""
    patience: Annotated[int, Field(gt=0)] = 5
    """Training stops when so many evaluations in a row find nothing better."""
    augment: tuple[Literal["flip", "crop", "mix"], ...] = ()
    """Changes of pictures that give a small set more to learn from."""

    @model_validator(mode="after")
    def _one_length(self) -> FinetuneConfig:
        if self.epochs is not None and self.steps is not None:
            raise ValueError("Give `epochs` or `steps`, not both.")
        return self


_GOALS = ("macs", "bytes", "estimate_us")


class PruneTarget(Strict):
    """What the pruned model may cost: exactly one of `macs`, `bytes`, `estimate_us`."""

    macs: Annotated[int, Field(gt=0)] | None = None
    """Multiply-accumulates of one inference."""
    bytes: Annotated[int, Field(gt=0)] | None = None
    """Bytes of weights and other constants, at the precision that the stage is given."""
    estimate_us: Annotated[float, Field(gt=0)] | None = None
    """Estimated accelerator time in microseconds, at the precision of the run's quantize stage and
    with the package's boundary."""
    device: str | None = None
    """Whose estimate; the first target where not given."""
    compiles: Annotated[int, Field(gt=2)] = 64
    """How many candidate cuts may be estimated; more find a better one."""

    @model_validator(mode="after")
    def _one(self) -> PruneTarget:
        if sum(getattr(self, key) is not None for key in _GOALS) != 1:
            raise ValueError(f"Give exactly one of {', '.join(f'`{key}`' for key in _GOALS)}.")
        if self.device is not None and self.estimate_us is None:
            raise ValueError("`device` belongs to `estimate_us`.")
        return self


class Sparsity(Strict):
    """Zeros among the weights, for the size of downloads only: the NPU gets no faster by them."""

    share: Annotated[float, Field(gt=0, lt=1)] | None = None
    """The share of each layer's weights that becomes zero, the smallest ones."""
    pattern: Annotated[str, Field(pattern=r"^[1-9]\d?:[1-9]\d?$")] | None = None
    """`2:4` keeps 2 of each 4 consecutive input channels, and so on."""

    @model_validator(mode="after")
    def _complete(self) -> Sparsity:
        if (self.share is None) == (self.pattern is None):
            raise ValueError("Give exactly one of `share`, `pattern`.")
        if self.kept is not None and self.kept[0] >= self.kept[1]:
            raise ValueError(f"The pattern {self.pattern} keeps everything; try `2:4`.")
        return self

    @property
    def kept(self) -> tuple[int, int] | None:
        """The pattern as numbers: how many stay, of how many."""
        if self.pattern is None:
            return None
        kept, _, of = self.pattern.partition(":")
        return int(kept), int(of)


class PruneConfig(Strict):
    """Cut whole channels, and refit the layers behind them: `ratio` or `target`, or `sparsity`."""

    ratio: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Share of the multiply-accumulates to take away."""
    target: PruneTarget | None = None
    """What the pruned model may cost, instead of a ratio."""
    importance: Importance = Importance.ACTIVATION
    """`magnitude` looks at the weights alone; `activation` at what channels add to the layers
    behind them; `second-order` also at what the other channels can make up for; `taylor` (extra
    `train`) at what the model's outputs lose, by gradients."""
    repair: bool = True
    """Refit the layers behind a cut to their original activations, by least squares."""
    step: Annotated[int, Field(gt=0)] = 32
    """Channel counts are brought to multiples of this; the NPU computes in steps of 32."""
    most: Annotated[float, Field(gt=0, lt=1)] = 0.75
    """The largest share of the channels of a layer that may go."""
    keep: Names = ()
    """Names of nodes of the prepared model whose channels stay."""
    sparsity: Sparsity | None = None
    """Zeros for a smaller download, after the cut or alone; a later finetune stage undoes them."""

    @property
    def cuts(self) -> bool:
        """Whether channels are cut."""
        return self.ratio is not None or self.target is not None

    @property
    def needs_samples(self) -> bool:
        """Whether the cut looks at activations."""
        return self.cuts and (self.repair or self.importance is not Importance.MAGNITUDE)

    @model_validator(mode="after")
    def _one_goal(self) -> PruneConfig:
        if self.sparsity is not None and not self.cuts:
            return self
        if (self.ratio is None) == (self.target is None):
            raise ValueError(
                "Give exactly one of `ratio`, `target`, such as `prune: {ratio: 0.3}`."
            )
        return self


class PackageConfig(Strict):
    """Compile for every target and write the bundle."""

    optimization_modes: tuple[Literal[1, 2, 3], ...] = (2, 3)
    """Values of htp_graph_finalization_optimization_mode to try; the fastest by estimate stays."""
    vtcm_mb: tuple[Annotated[int, Field(gt=0)], ...] = ()
    """Sizes of on-chip memory to try beside the device's own."""
    dlc: bool = False
    """Also write a DLC for QAIRT's own tools."""
    multi_soc: bool = False
    """Also write one container for all targets together."""
    embed: bool = False
    """Put the context binary inside the ONNX file; refused where that is unsafe."""
    golden_samples: Annotated[int, Field(gt=0)] = 4
    """How many samples and simulated outputs the bundle carries for the check on the board."""


StageOptions = (
    PrepareConfig
    | RepairConfig
    | PruneConfig
    | ClusterConfig
    | QuantizeConfig
    | FinetuneConfig
    | PackageConfig
)
STAGE_OPTIONS: dict[str, type[StageOptions]] = {
    "prepare": PrepareConfig,
    "repair": RepairConfig,
    "prune": PruneConfig,
    "cluster": ClusterConfig,
    "quantize": QuantizeConfig,
    "finetune": FinetuneConfig,
    "package": PackageConfig,
}


class StageItem(Strict):
    """One entry of `stages`: exactly one stage with its options, such as `quantize: {}`."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    prepare: PrepareConfig | None = None
    repair: RepairConfig | None = None
    prune: PruneConfig | None = None
    cluster: ClusterConfig | None = None
    quantize: QuantizeConfig | None = None
    finetune: FinetuneConfig | None = None
    package: PackageConfig | None = None

    @model_validator(mode="after")
    def _one_stage(self) -> StageItem:
        if len(self.model_fields_set) != 1:
            raise ValueError(
                "Each entry of `stages` is one stage, such as `- quantize: {}`; stages are "
                f"{', '.join(type(self).model_fields)}."
            )
        return self

    @property
    def name(self) -> str:
        """Name of the stage."""
        return next(iter(self.model_fields_set))

    @property
    def options(self) -> StageOptions:
        """Options of the stage; its defaults where the YAML gives none."""
        given: StageOptions | None = getattr(self, self.name)
        return given if given is not None else STAGE_OPTIONS[self.name]()


class Gates(Strict):
    """Limits that a run must hold; a gate that fails ends the run with exit code 1."""

    max_accuracy_drop: Annotated[float, Field(ge=0)] | None = None
    """Float metric minus simulated metric, in the metric's own unit."""
    min_sqnr_db: float | None = None
    """Lowest mean output SQNR of the simulated package against the float model, in dB."""
    npu_nodes: Literal["all"] | Annotated[float, Field(ge=0, le=1)] | None = None
    """`all`, or the lowest share of nodes on the NPU."""
    min_estimated_speedup: Annotated[float, Field(gt=0)] | None = None
    """Estimate of the unmodified model at fp16 over the estimate of the package, same device."""


class BenchmarkConfig(Strict):
    """Latency on a target; baseline and candidate run interleaved."""

    target: str = "local"
    """`local`: this machine's CPU; `ssh://user@host:port` or a name of boards.yaml: a board;
    `qemu`: an emulated board, which counts instructions and measures no time."""
    warmup: Annotated[int, Field(ge=0)] = 10
    """Runs before the clock starts."""
    min_runs: Annotated[int, Field(gt=0)] = 100
    """Timed runs of each model, at least."""
    min_duration_s: Annotated[float, Field(ge=0)] = 5.0
    """Seconds of timed runs of each model, at least."""
    threads: Annotated[int, Field(gt=0)] = 1
    """Threads of ONNX Runtime."""
    repeats: Annotated[int, Field(gt=0, le=100)] = 2
    """How often the models are loaded afresh, in the opposite order each time; the runs are spread
    over them."""
    cooldown_s: Annotated[float, Field(ge=0, le=3600)] = 0.0
    """Pause between repeats, in which a hot board cools down."""
    allow: Annotated[tuple[Literal["npu", "cpu"], ...], Field(min_length=1)] | None = None
    """Where a board may run the package: `[npu]` where not given. With `cpu` it may fall back, and
    the result says so."""
    baseline: Literal["float32", "fp16"] = "float32"
    """What the package is compared with on a board: the model as given on its CPU (`float32`), or
    compiled for its NPU at 16-bit floating point (`fp16`)."""
    performance_mode: Literal[
        "burst", "sustained_high_performance", "high_performance", "balanced", "power_saver"
    ] = "burst"
    """The NPU's `htp_performance_mode` on a board."""


class DeployConfig(Strict):
    """The whole of deploy.yaml."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
    """Names the run's folder: up to 100 letters, digits, `.`, `_` and `-`, the first one a letter
    or a digit."""
    model: Model
    targets: Annotated[tuple[str, ...], Field(min_length=1)]
    """Device profiles to compile for; `snapq devices` lists them. The first one is simulated."""
    data: Data = Data()
    metric: str | Annotated[dict[str, str], Field(min_length=1)] | None = None
    """`top1`, `top5`, `miou`, `psnr`, or `module:function` of your own; SQNR and cosine always
    come. Of a model with several outputs: a metric for each, `{output: metric}`."""
    io: Io = Io()
    stages: Annotated[tuple[StageItem, ...], Field(min_length=1)]
    """Stages in the order in which they run. `prepare` runs first also where it is not named."""
    gates: Gates = Gates()
    benchmark: BenchmarkConfig | None = None
    """Where latency is measured; nothing is measured when not given."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of everything random, so that the same input gives the same bytes."""

    _folder: Path = PrivateAttr(default_factory=Path.cwd)

    @property
    def folder(self) -> Path:
        """Folder of the YAML file, where `python:` modules are looked for."""
        return self._folder

    def at(self, folder: Path) -> DeployConfig:
        """The same configuration as read from a file in `folder`."""
        copy = self.model_copy()
        copy._folder = folder
        return copy
