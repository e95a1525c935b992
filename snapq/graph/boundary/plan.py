"""Decides what the package takes and gives, from the configuration and the model's own inputs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from snapq.config import Color, Io, IoDtype, IoLayout, Preprocess
from snapq.errors import ConfigError
from snapq.graph.boundary.ids import NARROW
from snapq.graph.boundary.values import Boundary, ImageFeed, InputBoundary, channels_last

if TYPE_CHECKING:
    from snapq.graph.shapes import TensorSpec


def plan(
    inputs: Sequence[TensorSpec],
    io: Io,
    preprocess: Mapping[str, Preprocess],
    *,
    foldable: bool = True,
    ids: Collection[str] = (),
) -> Boundary:
    """Plans the boundary.

    1. An image input becomes uint8, channels last, with the normalization folded in.
    2. Other inputs stay float and as they are; integer inputs always do, but ids of 64 bits, which
       become int32.
    3. Outputs give codes where an image input takes them, and floats otherwise.
    4. What `io` says explicitly holds for every input and output that can have it.

    Args:
        inputs: of the float model.
        io: what the YAML says.
        preprocess: of each input that pictures feed, by name.
        foldable: whether `fold_normalization` can still edit the model; False for a model that
            came with its Q/DQ nodes, whose pictures are then normalized by whoever feeds it.
        ids: int64 inputs that are indices alone (`only_looked_up`).

    Raises:
        ConfigError: an input cannot be fed by pictures.
    """
    planned = []
    for spec in inputs:
        given = preprocess.get(spec.name)
        if given:
            planned.append(_image(spec, io, given, foldable))
        else:
            planned.append(_other(spec, io, narrow=spec.name in ids))
    codes = any(item.quantized and item.image is not None for item in planned)
    return Boundary(
        tuple(planned),
        gives_codes=codes if io.dtype is None else io.dtype is IoDtype.QUANTIZED,
        gives_nhwc=io.layout is IoLayout.NHWC,
    )


def _other(spec: TensorSpec, io: Io, *, narrow: bool) -> InputBoundary:
    dtype = spec.dtype.name
    if spec.dtype.kind != "f":
        taken = NARROW if narrow and io.dtype is not IoDtype.FLOAT else dtype
        return InputBoundary(spec.name, dtype, spec.shape, dtype=taken)
    quantized = io.dtype is IoDtype.QUANTIZED
    nhwc = io.layout is IoLayout.NHWC and len(spec.shape) == 4
    return InputBoundary(
        spec.name,
        dtype,
        spec.shape,
        quantized=quantized,
        dtype=None if quantized else dtype,
        permutation=channels_last(4, 1) if nhwc else None,
    )


def _image(spec: TensorSpec, io: Io, given: Preprocess, foldable: bool) -> InputBoundary:
    axis = _channel_axis(spec, given.color)
    image = _image_feed(spec.shape[axis], given)
    last = axis == len(spec.shape) - 1
    nhwc = io.layout is not IoLayout.AS_IS and not last
    planned = InputBoundary(
        spec.name,
        spec.dtype.name,
        spec.shape,
        dtype=spec.dtype.name,
        permutation=channels_last(len(spec.shape), axis) if nhwc else None,
        channel_axis=axis,
        image=image,
    )
    if io.dtype is IoDtype.FLOAT or spec.dtype.kind != "f":
        return planned
    scale, zero_point = _encoding(image)
    raw = replace(
        planned, quantized=True, dtype="uint8", scale=scale, zero_point=zero_point, raw=True
    )
    if _is_whole(raw):
        return raw
    return replace(raw, folded=True) if foldable else replace(planned, quantized=True, dtype=None)


def _is_whole(item: InputBoundary) -> bool:
    """Whether the encoding alone is the normalization, to float32's precision."""
    factor, offset = item.residual
    return bool(np.allclose(factor, 1, rtol=1e-7, atol=0) and np.all(offset == 0))


def _channel_axis(spec: TensorSpec, color: Color) -> int:
    """The axis of the colours: the first after the batch where it fits, else the last."""
    channels = 1 if color is Color.GRAY else 3
    for axis in {3: (0, 2), 4: (1, 3)}.get(len(spec.shape), ()):
        if spec.shape[axis] == channels:
            return axis
    takes = "3 channels" if channels == 3 else "1 channel (grey pictures feed 3 with `color: rgb`)"
    raise ConfigError(
        f"Images of color {color.value} cannot feed the input '{spec.name}' of shape "
        f"{list(spec.shape)}.",
        where="data",
        hint=f"Such an input has 3 or 4 dimensions, and {takes} first or last; give other data as "
        "arrays or python.",
    )


def _image_feed(channels: int, given: Preprocess) -> ImageFeed:
    """How a picture becomes the input, with a mean and a deviation for each channel."""

    def each(values: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(float(value) for value in values) * (channels // len(values))

    return ImageFeed(
        color=given.color.value,
        mean=each(given.mean),
        std=each(given.std),
        resize=given.resize,
        crop=given.crop,
        resample=given.resample.value,
        letterbox=given.letterbox,
        fill=tuple(map(int, each(given.fill))) if given.letterbox is not None else (),
        align=given.align.value,
    )


def _encoding(image: ImageFeed) -> tuple[float, int]:
    """Scale and zero point of the pixels, nearest to the normalization of all channels.

    Equal channels and an integer mean give the normalization itself. What is left otherwise is
    near 1 and 0 a channel, which keeps the folded weights as easy to quantize as the original's.
    """
    scale = 1 / float(np.mean(image.std))
    zero_point = int(np.clip(np.rint(np.mean(image.mean)), 0, 255))
    return scale, zero_point
