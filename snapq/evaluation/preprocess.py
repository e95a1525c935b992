"""From a picture to an input: size, colour order, `(pixel - mean) / std`, layout.

Sizes follow the usual training pipelines: the longer side of a resized picture is rounded down,
and the crop's corner is rounded to the nearest pixel. A letterboxed picture's sides are rounded to
the nearest pixel, and of an odd rest the larger part lies below and to the right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from snapq.config import Align, Color, Preprocess, Resample
from snapq.errors import DataError
from snapq.evaluation.pictures import MAX_PIXELS
from snapq.evaluation.samples import Array, convert

if TYPE_CHECKING:
    from snapq.graph.shapes import TensorSpec

_TRANSPOSING_ORIENTATIONS = (5, 6, 7, 8)
_ORIENTATION_TAG = 0x0112


@dataclass(frozen=True)
class ImageInput:
    """An input that takes a picture, [1, C, H, W] or [1, H, W, C] with 1 or 3 channels."""

    spec: TensorSpec
    height: int
    width: int
    channels_first: bool


def image_layout(spec: TensorSpec, preprocess: Preprocess, where: str) -> ImageInput:
    """Tells from an input's shape how it takes a picture.

    Where the shape fits both layouts, channels come first, as ONNX's convolutions have them.

    Raises:
        DataError: the shape is not that of one picture of the colour that `preprocess` gives.
    """
    channels = 1 if preprocess.color is Color.GRAY else 3
    shape = spec.shape
    if len(shape) not in (3, 4):
        raise DataError(
            f"Input '{spec.name}' is of shape {list(shape)}, which is not that of a picture "
            "([1, channels, height, width] or [1, height, width, channels]).",
            where=where,
            hint="Give this model its inputs by `arrays` or `python`.",
        )
    if len(shape) == 4 and shape[0] != 1:
        fixed = [1, *shape[1:]]
        raise DataError(
            f"Input '{spec.name}' takes {shape[0]} pictures at once, shape {list(shape)}, and a "
            "sample is one picture.",
            where=where,
            hint=f"Fix the batch at 1: write `inputs: {{{spec.name}: {fixed}}}` under `model:`.",
        )
    first, rows, columns = shape[-3:]
    if first == channels:
        return ImageInput(spec, rows, columns, channels_first=True)
    if columns == channels:
        return ImageInput(spec, first, rows, channels_first=False)
    found = sorted({first, columns} & {1, 3})
    hint = {1: "Write `color: gray` under `preprocess:`.", 3: "Write `color: rgb` or `color: bgr`."}
    raise DataError(
        f"Input '{spec.name}' is of shape {list(shape)}, and a picture of color "
        f"{preprocess.color.value} has {channels} channel{'s' if channels > 1 else ''}.",
        where=where,
        hint=hint[found[0]] if found else "Give this model its inputs by `arrays` or `python`.",
    )


def upright_size(picture: Image.Image) -> tuple[int, int]:
    """Width and height of a picture as a viewer shows it; reads its header only."""
    width, height = picture.size
    turned = picture.getexif().get(_ORIENTATION_TAG) in _TRANSPOSING_ORIENTATIONS
    return (height, width) if turned else (width, height)


def resized_size(size: tuple[int, int], preprocess: Preprocess) -> tuple[int, int]:
    """Width and height after `resize`, or of the picture in its letterbox."""
    box = letterbox_size(preprocess)
    if box is not None:
        if min(size) < 1:
            raise ValueError("it has no pixels")
        scale = min(box[0] / size[0], box[1] / size[1])
        return max(round(size[0] * scale), 1), max(round(size[1] * scale), 1)
    if preprocess.resize is None:
        return size
    if not isinstance(preprocess.resize, int):
        return preprocess.resize[1], preprocess.resize[0]
    width, height = size
    shorter = preprocess.resize
    if min(size) < 1:
        raise ValueError("it has no pixels")
    if width <= height:
        return shorter, max(shorter * height // width, shorter)
    return max(shorter * width // height, shorter), shorter


def crop_size(preprocess: Preprocess) -> tuple[int, int] | None:
    """Width and height of the crop."""
    return _width_and_height(preprocess.crop)


def letterbox_size(preprocess: Preprocess) -> tuple[int, int] | None:
    """Width and height of the letterbox."""
    return _width_and_height(preprocess.letterbox)


def _width_and_height(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    if size is None:
        return None
    return (size, size) if isinstance(size, int) else (size[1], size[0])


@dataclass(frozen=True)
class Placement:
    """Where the pixels of an upright picture come to lie: `input = scale * picture + offset`.

    Attributes:
        scale: along x and y.
        offset: along x and y, in pixels of the input; negative where a crop cuts off.
        size: width and height of the input.
    """

    scale: tuple[float, float]
    offset: tuple[int, int]
    size: tuple[int, int]


def placement(size: tuple[int, int], preprocess: Preprocess) -> Placement:
    """Where a picture of this width and height comes to lie."""
    resized = resized_size(size, preprocess)
    final = letterbox_size(preprocess) or crop_size(preprocess) or resized
    centred = preprocess.align is Align.CENTER
    if preprocess.letterbox is not None:
        # Half of an odd rest is rounded down.
        offset = tuple((f - r) // 2 if centred else 0 for f, r in zip(final, resized, strict=True))
    else:
        offset = tuple(
            -round((r - f) / 2) if centred else 0 for f, r in zip(final, resized, strict=True)
        )
    scale = (resized[0] / size[0], resized[1] / size[1])
    return Placement(scale, (offset[0], offset[1]), final)


def check_size(
    size: tuple[int, int], preprocess: Preprocess, image: ImageInput, where: str
) -> None:
    """Checks that a picture of this width and height becomes the size that the input takes.

    Raises:
        DataError: it does not; the message has the YAML that would fix it.
    """
    height, width = image.height, image.width
    resized = resized_size(size, preprocess)
    crop, box = crop_size(preprocess), letterbox_size(preprocess)
    exact = f"`resize: [{height}, {width}]`"
    if resized[0] * resized[1] > MAX_PIXELS:
        raise DataError(
            f"`resize` makes {_pixels(resized)} of it, and at most {MAX_PIXELS / 1e6:.0f} million "
            "pixels are held in memory.",
            where=where,
            hint=f"Write {exact}, or a smaller `resize`, under `preprocess:`.",
        )
    if crop is not None and (crop[0] > resized[0] or crop[1] > resized[1]):
        raise DataError(
            f"It is {_pixels(resized)}{' after resize' if preprocess.resize else ''}, which is "
            f"smaller than the crop of {_pixels(crop)}.",
            where=where,
            hint=f"Write `resize: {max(crop)}` or more under `preprocess:`.",
        )
    final = box or crop or resized
    if final == (width, height):
        return
    became = "" if final == size else f" and becomes {_pixels(final)}"
    if box is not None:
        hint = f"Write `letterbox: [{height}, {width}]` under `preprocess:`."
    elif crop is not None:
        hint = f"Write `crop: [{height}, {width}]` under `preprocess:`."
    else:
        cropped = f"`resize: {max(height, width)}, crop: [{height}, {width}]`"
        hint = f"Write {exact}, or {cropped}, under `preprocess:`."
    raise DataError(
        f"It is {_pixels(size)} (width x height){became}, and input '{image.spec.name}' takes "
        f"{_pixels((width, height))}.",
        where=where,
        hint=hint,
    )


def geometry(
    picture: Image.Image,
    preprocess: Preprocess,
    filtering: Resample,
    fill: float | tuple[float, ...],
) -> Image.Image:
    """Resizes an upright picture, and crops it or fills the rest of its letterbox."""
    lies = placement(picture.size, preprocess)
    size = resized_size(picture.size, preprocess)
    if size != picture.size:
        picture = picture.resize(size, Image.Resampling[filtering.name])
    if lies.size == picture.size:
        return picture
    left, top = lies.offset
    if preprocess.letterbox is None:
        return picture.crop((-left, -top, lies.size[0] - left, lies.size[1] - top))
    frame = Image.new(picture.mode, lies.size, fill)
    frame.paste(picture, lies.offset)
    return frame


def to_frame(picture: Image.Image, preprocess: Preprocess) -> Array:
    """Raw pixels of a picture after its geometry: uint8 [1, height, width, channels].

    The picture is turned upright by its EXIF tag; transparent parts show white.
    """
    upright = ImageOps.exif_transpose(picture)
    coloured = _opaque(upright).convert("L" if preprocess.color is Color.GRAY else "RGB")
    placed = geometry(coloured, preprocess, preprocess.resample, _fill(preprocess))
    pixels = np.asarray(placed, dtype=np.uint8)
    if preprocess.color is Color.GRAY:
        pixels = pixels[:, :, None]
    elif preprocess.color is Color.BGR:
        pixels = pixels[:, :, ::-1]
    return np.ascontiguousarray(pixels[None])


def _fill(preprocess: Preprocess) -> int | tuple[int, ...]:
    """The pixel around a letterboxed picture, as Pillow takes it: red, green, blue."""
    values = tuple(int(value) for value in preprocess.fill)
    if preprocess.color is Color.GRAY:
        return values[0]
    values = values * (3 // len(values))
    return values[::-1] if preprocess.color is Color.BGR else values


def normalize(frame: Array, preprocess: Preprocess, image: ImageInput, where: str) -> Array:
    """What the float model takes: `(frame - mean) / std` in the input's layout and type.

    Raises:
        DataError: the input is of an integer type that cannot hold the result.
    """
    mean = np.asarray(preprocess.mean, np.float32)
    std = np.asarray(preprocess.std, np.float32)
    values = (frame.astype(np.float32) - mean) / std
    if image.channels_first:
        values = values.transpose(0, 3, 1, 2)
    return convert(values.reshape(image.spec.shape), image.spec, where)


def _opaque(picture: Image.Image) -> Image.Image:
    """The picture without transparency and with 8 bits a channel."""
    if picture.mode.startswith("I;16") or picture.mode == "I":
        # Pillow clips 16-bit pixels at 255 where it should scale them.
        pixels = np.asarray(picture, dtype=np.float64) * (255 / 65535)
        return Image.fromarray(np.round(pixels).astype(np.uint8))
    if not picture.has_transparency_data:
        return picture
    layered = picture.convert("RGBA")
    white = Image.new("RGBA", layered.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, layered)


def _pixels(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]} pixels"
