"""What the package takes and gives, input by input and output by output."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from snapq.errors import DataError, ModelError

Array = np.ndarray[Any, np.dtype[Any]]


class Sample(Protocol):
    """What the boundary needs of a sample of `snapq.evaluation.datasets`."""

    @property
    def feeds(self) -> Mapping[str, Array]:
        """What the original float model takes, input by input."""
        ...

    @property
    def frames(self) -> Mapping[str, Array]:
        """Raw pixels (uint8, [1, H, W, C]) of the image inputs."""
        ...


@dataclass(frozen=True)
class FixedEncoding:
    """An encoding that is known before calibration: `value = (code - zero_point) * scale`."""

    dtype: str
    scale: float
    zero_point: int


@dataclass(frozen=True)
class ImageFeed:
    """How a picture becomes the input: what the manifest tells whoever feeds the package.

    Attributes:
        color: order of the channels (`rgb`, `bgr`, `gray`).
        mean: one value a channel, in pixels of 0..255.
        std: one value a channel.
        resize: length of the shorter side, or (height, width).
        crop: side of the crop, or (height, width).
        resample: name of the resize filter.
        letterbox: side of the frame into which it is fitted, or (height, width).
        fill: pixel around it, one value a channel; empty without a letterbox.
        align: where it lies there, or which part a crop keeps: `center`, `top-left`.
    """

    color: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize: int | tuple[int, int] | None = None
    crop: int | tuple[int, int] | None = None
    resample: str = "bilinear"
    letterbox: int | tuple[int, int] | None = None
    fill: tuple[int, ...] = ()
    align: str = "center"


@dataclass(frozen=True)
class TensorBoundary:
    """One input or output of the package.

    Attributes:
        name: name in the float model and in the package.
        model_dtype: numpy name of the float model's type.
        model_shape: shape in the float model.
        quantized: whether the package takes or gives integer codes.
        dtype: numpy name of the package's type; None until `apply` reads it from the graph.
        scale: of the encoding, None where not quantized or not known yet.
        zero_point: of the encoding.
        permutation: `np.transpose(package, permutation)` has the model's layout; None: as is.
    """

    name: str
    model_dtype: str
    model_shape: tuple[int, ...]
    quantized: bool = False
    dtype: str | None = None
    scale: float | None = None
    zero_point: int | None = None
    permutation: tuple[int, ...] | None = None

    @property
    def is_narrower(self) -> bool:
        """Whether the package has fewer bits for the model's integers: ids of int64 as int32."""
        return not self.quantized and (self.model_dtype, self.dtype) == ("int64", "int32")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape in the package."""
        if self.permutation is None:
            return self.model_shape
        return tuple(self.model_shape[int(axis)] for axis in np.argsort(self.permutation))

    @property
    def layout(self) -> str:
        """`nhwc` where the package has channels last and the model does not, else `as-is`."""
        return "as-is" if self.permutation is None else "nhwc"


@dataclass(frozen=True)
class InputBoundary(TensorBoundary):
    """One input of the package.

    Attributes:
        channel_axis: axis of the channels in the float model, for images.
        image: how a picture becomes the input; None for other data.
        raw: whether 8-bit pixels feed the package as they are; where not, whoever feeds the
            package normalizes (and quantizes) them.
        folded: whether part of the normalization is in the graph, so that the float model takes
            `(pixel - zero_point) * scale` instead of `(pixel - mean) / std`.
    """

    channel_axis: int | None = None
    image: ImageFeed | None = None
    raw: bool = False
    folded: bool = False

    @property
    def residual(self) -> tuple[Array, Array]:
        """Factor and offset a channel, `[C]` each, float64.

        `(pixel - mean) / std == factor * ((pixel - zero_point) * scale) + offset`.
        """
        if self.image is None or self.scale is None or self.zero_point is None:
            return np.ones(1), np.zeros(1)
        mean, std = np.asarray(self.image.mean), np.asarray(self.image.std)
        return 1 / (std * self.scale), (self.zero_point - mean) / std

    def model_feed(self, sample: Sample) -> Array:
        """What the float model (after `fold_normalization`) takes."""
        normalized = _of(sample.feeds, self.name)
        if not self.folded or self.scale is None or self.zero_point is None:
            return normalized
        if self.name in sample.frames:
            codes = self._fit(sample.frames[self.name])
            if self.permutation is not None:
                codes = np.transpose(codes, self.permutation)
            return dequantize(codes, self.scale, self.zero_point)
        shape = [1] * len(self.model_shape)
        if self.channel_axis is not None:
            shape[self.channel_axis] = -1
        factor, offset = (values.reshape(shape) for values in self.residual)
        return ((normalized - offset) / factor).astype(np.float32)

    def package_feed(self, sample: Sample) -> Array:
        """What the package takes: raw pixels where it can, else codes or floats in its layout."""
        if self.raw and self.name in sample.frames:
            return np.ascontiguousarray(self._fit(sample.frames[self.name]))
        values = self.model_feed(sample)
        if self.permutation is not None:
            values = np.transpose(values, np.argsort(self.permutation))
        if not self.quantized:
            return np.asarray(values, self.dtype if self.is_narrower else None, order="C")
        if self.dtype is None or self.scale is None or self.zero_point is None:
            raise ModelError(
                "The encoding of this input is not known before the model is quantized.",
                where=self.name,
            )
        return quantize(values, self.dtype, self.scale, self.zero_point)

    def _fit(self, frame: Array) -> Array:
        """The frame, `[1, H, W, C]`, in the package's shape."""
        last = self.channel_axis is not None and self.channel_axis == len(self.model_shape) - 1
        if self.permutation is None and not last:
            frame = np.moveaxis(frame, -1, 1)
        if frame.size != int(np.prod(self.shape)):
            raise DataError(
                f"A frame has the shape {list(frame.shape)}; the model takes {list(self.shape)}.",
                where=self.name,
                hint="Set preprocess.crop (or resize) to the size of the model's input.",
            )
        return frame.reshape(self.shape)


@dataclass(frozen=True)
class OutputBoundary(TensorBoundary):
    """One output of the package."""

    def read(self, values: Array) -> Array:
        """The float model's output from the package's: dequantized, in the model's layout."""
        if self.quantized and self.scale is not None and self.zero_point is not None:
            values = dequantize(values, self.scale, self.zero_point)
        if self.permutation is not None:
            values = np.transpose(values, self.permutation)
        return np.asarray(values, order="C")  # which leaves a scalar one


@dataclass(frozen=True)
class Boundary:
    """What the package takes and gives.

    Attributes:
        inputs: in graph order.
        gives_codes: whether outputs are to give integer codes where the model quantizes them.
        gives_nhwc: whether outputs of rank 4 are to have their channels last.
        outputs: in graph order; empty until `apply` reads them from the graph.
        notes: sentences for the reader: what the boundary could not have, and why.
        batch: how many samples a call takes, along the first axis; shapes are those of one.
    """

    inputs: tuple[InputBoundary, ...]
    gives_codes: bool = False
    gives_nhwc: bool = False
    outputs: tuple[OutputBoundary, ...] = ()
    notes: tuple[str, ...] = ()
    batch: int = 1

    @property
    def changes_float_model(self) -> bool:
        """Whether a float model gets another boundary than its own."""
        changed = (item.raw or item.permutation or item.is_narrower for item in self.inputs)
        return any(changed) or self.gives_nhwc

    def in_codes(self) -> Boundary:
        """The same with codes in place of floats, as `io: {dtype: quantized}` asks for."""
        inputs = tuple(
            dataclasses.replace(item, quantized=True, dtype=None)
            if not item.quantized and np.dtype(item.model_dtype).kind == "f"
            else item
            for item in self.inputs
        )
        return dataclasses.replace(self, inputs=inputs, gives_codes=True)

    def input_encodings(self) -> dict[str, FixedEncoding]:
        """Encodings that quantization must give to inputs, by name."""
        return {
            item.name: FixedEncoding(item.dtype, item.scale, item.zero_point)
            for item in self.inputs
            if item.dtype is not None and item.scale is not None and item.zero_point is not None
        }

    def model_feeds(self, sample: Sample) -> dict[str, Array]:
        """Feeds of the float model after `fold_normalization`."""
        return {item.name: item.model_feed(sample) for item in self.inputs}

    def package_feeds(self, sample: Sample) -> dict[str, Array]:
        """Feeds of the package: raw 8-bit frames where it takes images."""
        return {item.name: item.package_feed(sample) for item in self.inputs}

    def package_outputs(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """The float model's outputs from the package's; only for what `apply` returned."""
        return {item.name: item.read(_of(outputs, item.name)) for item in self.outputs}

    def describe(self) -> list[str]:
        """One line an input and output, for people."""
        lines = [_describe_input(item) for item in self.inputs]
        if self.batch > 1:
            lines.append(f"a call takes {self.batch} samples, along the first axis")
        if self.outputs:
            return lines + [_describe_output(item) for item in self.outputs]
        codes = "codes where the model quantizes them" if self.gives_codes else "float"
        return [*lines, f"outputs: {codes}, {'nhwc' if self.gives_nhwc else 'as-is'}"]

    def to_json(self) -> dict[str, Any]:
        """The boundary in JSON's types."""
        plain: dict[str, Any] = _plain(dataclasses.asdict(self))
        return plain

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Boundary:
        """The inverse of `to_json`."""
        inputs = []
        for item in value["inputs"]:
            image = item["image"]
            feed = None if image is None else ImageFeed(**_tuples(image))
            inputs.append(InputBoundary(**{**_tuples(item), "image": feed}))
        outputs = tuple(OutputBoundary(**_tuples(item)) for item in value["outputs"])
        return cls(**{**_tuples(value), "inputs": tuple(inputs), "outputs": outputs})


def _describe_input(item: InputBoundary) -> str:
    if item.raw and item.image is not None:
        kind = f"raw {item.image.color.upper()} pixels, {item.dtype}"
    elif item.quantized:
        kind = f"codes, {item.dtype or 'as the model quantizes them'}"
    else:
        kind = item.dtype or item.model_dtype
    folded = ", normalization folded into the graph" if item.folded else ""
    return f"{item.name}: {kind}, {item.layout} {list(item.shape)}{folded}"


def _describe_output(item: OutputBoundary) -> str:
    kind = f"codes, {item.dtype}" if item.quantized else str(item.dtype)
    return f"{item.name}: {kind}, {item.layout} {list(item.shape)}"


def quantize(values: Array, dtype: str, scale: float, zero_point: int) -> Array:
    """Codes of `values` as ONNX QuantizeLinear gives them (round half to even, saturate)."""
    limits = np.iinfo(dtype)
    codes: Array = np.rint(np.asarray(values, np.float32) / np.float32(scale)) + zero_point
    clipped: Array = np.clip(codes, limits.min, limits.max).astype(dtype)
    return clipped


def dequantize(codes: Array, scale: float, zero_point: int) -> Array:
    """Values of `codes` as ONNX DequantizeLinear gives them, float32."""
    values: Array = (codes.astype(np.int64) - zero_point).astype(np.float32) * np.float32(scale)
    return values


def channels_last(rank: int, channel_axis: int) -> tuple[int, ...]:
    """The permutation from channels last to `channel_axis`: (0, 3, 1, 2) for rank 4, axis 1."""
    order = [axis for axis in range(rank) if axis != channel_axis] + [channel_axis]
    return tuple(int(axis) for axis in np.argsort(order))


def _of(values: Mapping[str, Array], name: str) -> Array:
    if name not in values:
        known = ", ".join(values) or "none"
        raise DataError(f"There is no value for '{name}' (found: {known}).", where=name)
    return values[name]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _tuples(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(item) if isinstance(item, list) else item for key, item in value.items()}
