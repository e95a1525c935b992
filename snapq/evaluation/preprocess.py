"""From a picture to an input: resize, centre crop, colour order, `(pixel - mean) / std`, layout.

Sizes follow the usual training pipelines: the longer side of a resized picture is rounded down,
and the crop's corner is rounded to the nearest pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from snapq.config import Color, Preprocess, Resample
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
    """Width and height after `resize`."""
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
    """Width and height of the centre crop."""
    if preprocess.crop is None:
        return None
    if isinstance(preprocess.crop, int):
        return preprocess.crop, preprocess.crop
    return preprocess.crop[1], preprocess.crop[0]


def check_size(
    size: tuple[int, int], preprocess: Preprocess, image: ImageInput, where: str
) -> None:
    """Checks that a picture of this width and height becomes the size that the input takes.

    Raises:
        DataError: it does not; the message has the YAML that would fix it.
    """
    height, width = image.height, image.width
    resized = resized_size(size, preprocess)
    crop = crop_size(preprocess)
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
    final = crop or resized
    if final == (width, height):
        return
    became = "" if final == size else f" and becomes {_pixels(final)}"
    if crop is not None:
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


def geometry(picture: Image.Image, preprocess: Preprocess, filtering: Resample) -> Image.Image:
    """Resizes and crops an upright picture."""
    size = resized_size(picture.size, preprocess)
    if size != picture.size:
        picture = picture.resize(size, Image.Resampling[filtering.name])
    crop = crop_size(preprocess)
    if crop is not None:
        left = round((picture.width - crop[0]) / 2)
        top = round((picture.height - crop[1]) / 2)
        picture = picture.crop((left, top, left + crop[0], top + crop[1]))
    return picture


def to_frame(picture: Image.Image, preprocess: Preprocess) -> Array:
    """Raw pixels of a picture after its geometry: uint8 [1, height, width, channels].

    The picture is turned upright by its EXIF tag; transparent parts show white.
    """
    upright = ImageOps.exif_transpose(picture)
    coloured = _opaque(upright).convert("L" if preprocess.color is Color.GRAY else "RGB")
    pixels = np.asarray(geometry(coloured, preprocess, preprocess.resample), dtype=np.uint8)
    if preprocess.color is Color.GRAY:
        pixels = pixels[:, :, None]
    elif preprocess.color is Color.BGR:
        pixels = pixels[:, :, ::-1]
    return np.ascontiguousarray(pixels[None])


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
