"""The schema of deploy.yaml: the one place where it is defined.

`snapq.config_file.load` reads a YAML file into these models and turns what pydantic finds into
errors with file and line. The JSON Schema that `snapq schema` prints is exported from here.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class Strict(BaseModel):
    """A model that refuses unknown keys and cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class WeightType(StrEnum):
    """Data type of quantized weights."""

    INT8 = "int8"
    UINT8 = "uint8"


class ActivationType(StrEnum):
    """Data type of quantized activations."""

    UINT8 = "uint8"
    UINT16 = "uint16"


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


Size = Annotated[int, Field(gt=0)] | tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]]


class Preprocess(Strict):
    """From an image file to what the model's input wants: resize, crop, then `(x - mean) / std`."""

    resize: Size | None = None
    """Length of the shorter side in pixels (the ratio is kept), or `[height, width]` exactly."""
    crop: Size | None = None
    """Size of the centre crop in pixels: one number for a square, or `[height, width]`."""
    mean: tuple[float, ...] = (0.0,)
    """Subtracted from pixels of 0..255; one number, or one a channel."""
    std: tuple[float, ...] = (1.0,)
    """Pixels are divided by this after `mean` is subtracted; one number, or one a channel."""
    color: Color = Color.RGB
    resample: Resample = Resample.BILINEAR

    @field_validator("mean", "std", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return (value,) if isinstance(value, int | float) else value

    @field_validator("std")
    @classmethod
    def _not_zero(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(v <= 0 for v in value):
            raise ValueError("std must be above 0")
        return value


class DataSource(Strict):
    """Samples: exactly one of `images`, `arrays`, `python`, `random`."""

    images: Path | None = None
    """A folder of images (searched recursively, sorted by name) or one image."""
    arrays: Path | None = None
    """A `.npy` (one input), an `.npz` (a key an input), or a folder of such files, a sample each.
    A single file holds its samples along the first axis."""
    python: str | None = None
    """`module:function`: called without arguments, yields `{input: array}` or
    `({input: array}, label)`."""
    random: Literal[True] | None = None
    """Random inputs, only for trying things out: every result that rests on them is marked."""
    samples: Annotated[int, Field(gt=0)] | None = None
    """How many samples to use, evenly spaced over what there is; all when not given."""
    labels: Path | None = None
    """CSV with the columns `file,label` (images), a `.npy` of labels (arrays), or a folder of
    masks named as the images (segmentation)."""
    preprocess: Preprocess | None = None
    """For `images`: how a picture becomes the input."""
    input: str | None = None
    """The model input that `images` or a `.npy` feeds, where the model has several."""
    seed: int = 0
    """Seed of `random`."""

    @model_validator(mode="after")
    def _one_source(self) -> DataSource:
        given = [
            k for k in ("images", "arrays", "python", "random") if getattr(self, k) is not None
        ]
        if len(given) != 1:
            found = " and ".join(given) if given else "none"
            raise ValueError(f"give exactly one of images, arrays, python, random (found {found})")
        if self.preprocess is not None and self.images is None:
            raise ValueError("preprocess belongs to images; arrays and python give ready inputs")
        return self


class Data(Strict):
    """The samples that a run uses."""

    calibration: DataSource | None = None
    evaluation: DataSource | None = None


class Model(Strict):
    """The float model to deploy."""

    path: Path
    inputs: dict[str, tuple[Annotated[int, Field(gt=0)], ...]] = Field(default_factory=dict)
    """Shape of each input; freezes dynamic dimensions and overrides what the file declares."""


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
    layout: IoLayout | None = None


class PrepareConfig(Strict):
    """Freeze shapes, upgrade the opset, fold constants, fuse, rewrite to what the NPU has."""

    skip: tuple[str, ...] = ()
    """Names of rewrites to leave out (`snapq inspect` lists them)."""


class QuantizeConfig(Strict):
    """Post-training quantization from the calibration samples."""

    weights: WeightType = WeightType.INT8
    activations: ActivationType = ActivationType.UINT8
    per_channel: bool = True
    """One scale an output channel for the weights of Conv, ConvTranspose and Gemm."""


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


StageOptions = PrepareConfig | QuantizeConfig | PackageConfig
STAGE_OPTIONS: dict[str, type[StageOptions]] = {
    "prepare": PrepareConfig,
    "quantize": QuantizeConfig,
    "package": PackageConfig,
}


class StageItem(Strict):
    """One entry of `stages`: exactly one stage with its options, such as `quantize: {}`."""

    prepare: PrepareConfig | None = None
    quantize: QuantizeConfig | None = None
    package: PackageConfig | None = None

    @model_validator(mode="after")
    def _one_stage(self) -> StageItem:
        if len(self.model_fields_set) != 1:
            raise ValueError(
                f"give exactly one stage an entry: {', '.join(type(self).model_fields)}"
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
    """`local`: this machine's CPU."""
    warmup: Annotated[int, Field(ge=0)] = 10
    min_runs: Annotated[int, Field(gt=0)] = 100
    min_duration_s: Annotated[float, Field(ge=0)] = 5.0
    threads: Annotated[int, Field(gt=0)] = 1


class DeployConfig(Strict):
    """The whole of deploy.yaml."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    model: Model
    targets: Annotated[tuple[str, ...], Field(min_length=1)]
    """Device profiles to compile for; `snapq devices` lists them. The first one is simulated."""
    data: Data = Data()
    metric: str | None = None
    """`top1`, `top5`, `miou`, `psnr`, or `module:function` of your own; SQNR and cosine always
    come."""
    io: Io = Io()
    stages: Annotated[tuple[StageItem, ...], Field(min_length=1)]
    """Stages in the order in which they run. `prepare` runs first also where it is not named."""
    gates: Gates = Gates()
    benchmark: BenchmarkConfig | None = None
    seed: int = 0
