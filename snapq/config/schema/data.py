"""`data`: where samples come from, and how a picture becomes an input."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from snapq.config.schema.base import FUNCTION_PATTERN, FilePath, PerChannel, Size, Strict


class Color(StrEnum):
    """Order of an image's channels in the model's input."""

    RGB = "rgb"
    BGR = "bgr"
    GRAY = "gray"


class Resample(StrEnum):
    """Filter with which Pillow resizes an image."""

    NEAREST = "nearest"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    LANCZOS = "lanczos"


class Preprocess(Strict):
    """From an image file to the model's input: resize, crop, then `(x - mean) / std`."""

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
    """Samples of the finetune stage; labels are used where given. The calibration samples where not
    given; never the evaluation samples, whose score would mean nothing."""
