"""`data`: where samples come from, and how a picture becomes an input."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import (
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from snapq.config.schema.base import (
    FUNCTION_PATTERN,
    FilePath,
    Names,
    PerChannel,
    Size,
    Strict,
)


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


class Align(StrEnum):
    """Where a picture lies in a larger frame, and what of it a crop keeps."""

    CENTER = "center"
    TOP_LEFT = "top-left"


class Preprocess(Strict):
    """From an image file to the model's input: resize, crop, then `(x - mean) / std`."""

    resize: Size | None = None
    """Length of the shorter side in pixels (the ratio is kept), or `[height, width]` exactly."""
    crop: Size | None = None
    """Size of the crop in pixels: one number for a square, or `[height, width]`."""
    letterbox: Size | None = None
    """In place of `resize` and `crop`: the picture is made to fit into this size with its ratio
    kept, and the rest is filled, as YOLO models expect; a number for a square, or `[height,
    width]`."""
    fill: PerChannel = (114.0,)
    """With `letterbox`: pixels of the rest, 0 to 255; one number, or one a channel."""
    align: Align = Align.CENTER
    """Where a letterboxed picture lies, and which part a crop keeps: `center` or `top-left`."""
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

    @field_validator("fill")
    @classmethod
    def _pixels(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(not (0 <= v <= 255 and v == int(v)) for v in value):
            raise ValueError("A pixel is a whole number from 0 to 255.")
        return value

    @model_serializer(mode="wrap")
    def _as_it_can_be_read_again(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = handler(self)
        if self.letterbox is None:
            values.pop("fill", None)
        return values

    @model_validator(mode="after")
    def _one_way_to_the_size(self) -> Preprocess:
        beside = [key for key in ("resize", "crop") if getattr(self, key) is not None]
        if self.letterbox is not None and beside:
            raise ValueError(f"`letterbox` gives the size by itself; remove `{beside[0]}`.")
        if self.letterbox is None and "fill" in self.model_fields_set:
            raise ValueError("`fill` belongs to `letterbox`.")
        return self

    @model_validator(mode="after")
    def _channels_agree(self) -> Preprocess:
        filled = self.fill if self.letterbox is not None else ()
        counts = {len(values) for values in (self.mean, self.std, filled) if len(values) > 1}
        channels = 1 if self.color is Color.GRAY else 3
        if not counts <= {channels}:
            raise ValueError(
                f"An image of color {self.color.value} has {channels} channel"
                f"{'s' if channels > 1 else ''}; mean has {len(self.mean)} values and std"
                f" {len(self.std)}. Give one number, or one a channel."
            )
        return self


class ClassNumbers(StrEnum):
    """What number a model gives to a category of COCO."""

    POSITIONS = "positions"
    IDS = "ids"


_SOURCES = ("images", "arrays", "table", "python", "random")


class DataSource(Strict):
    """Samples: exactly one of `images`, `arrays`, `table`, `python`, `random`."""

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
    table: FilePath | None = None
    """A table with a sample in each row and a name for each column: a CSV; Parquet and Arrow where
    pyarrow is installed."""
    columns: Names | dict[str, Names] = ()
    """Of a `table`, the columns that feed the input, in its order; all but the label where not
    given. Of a model with several inputs, `{input: [columns]}`; inputs of one number that are named
    as columns need none."""
    label: str | None = None
    """Of a `table`, the column with the labels."""
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
    masks named as the images (segmentation). Boxes: a COCO `.json`, or a folder of YOLO's `.txt`
    files named as the images."""
    alphabet: FilePath | None = None
    """Of texts (a CSV with the columns `file,text`, or a function that yields them): the characters
    of the model's classes, one a line, in their order. CTC's blank is class 0 in front of them, or
    where a line `<blank>` stands."""
    class_numbers: ClassNumbers = ClassNumbers.POSITIONS
    """Of a COCO `.json`: whether the model counts categories by their `positions` in the order of
    their ids, from 0, or gives their `ids` themselves, as torchvision's detectors do."""
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
        for key in ("columns", "label"):
            if getattr(self, key) and self.table is None:
                raise ValueError(f"`{key}` belongs to `table`.")
        if self.labels is not None and self.table is not None:
            raise ValueError("The labels of a table are one of its columns: write `label: NAME`.")
        if self.alphabet is not None and self.python is None and self.labels is None:
            raise ValueError("`alphabet` belongs to `labels` or to `python`, which give texts.")
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
