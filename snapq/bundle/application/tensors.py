"""What each input and output needs in C: types, and the loops that convert between layouts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snapq.bundle.application.identifiers import c_comment, c_double, c_float, c_int
from snapq.bundle.schema import BundleImage, BundleInput, BundleOutput, BundleTensor, QuantizedAs

__all__ = ["ImageView", "Level", "Loops", "TensorView", "input_view", "output_view"]

C_TYPES = {
    "uint8": "uint8_t",
    "int8": "int8_t",
    "uint16": "uint16_t",
    "int16": "int16_t",
    "uint32": "uint32_t",
    "int32": "int32_t",
    "uint64": "uint64_t",
    "int64": "int64_t",
    "float16": "uint16_t",
    "bfloat16": "uint16_t",
    "float32": "float",
    "float64": "double",
    "bool": "bool",
}
"""How each type is held; halves as their 16 bits."""


@dataclass(frozen=True)
class Level:
    """A loop over one axis."""

    variable: str
    size: int


@dataclass(frozen=True)
class Loops:
    """Loops around one statement.

    Attributes:
        levels: from the outermost in.
        statement: in C.
        constants: declarations in front of the loops.
    """

    levels: tuple[Level, ...]
    statement: str
    constants: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImageView:
    """How pictures become an input, with a value for everything."""

    height: int
    width: int
    channels: int
    order: str
    resample: str
    shorter_side: int
    resize: tuple[int, int]
    crop: int
    letterbox: int
    centred: int
    fill: tuple[int, int, int]


@dataclass(frozen=True)
class TensorView:
    """An input or output as the templates have it.

    Attributes:
        id: part of the names of its functions.
        kind: `in` or `out`.
        name: in the model.
        dtype: of the package, a numpy name.
        shape: in the package.
        model_dtype: of the float model.
        model_shape: likewise.
        encoding: of the codes; None where there are none.
        image: how pictures become it.
        frame: the loops from a frame to the package.
        values: the loops from the float model's values, or to them; None for a type that C lacks.
        permutation: `numpy.transpose(package, permutation)` has the model's layout.
    """

    id: str
    kind: str
    name: str
    dtype: str
    shape: tuple[int, ...]
    model_dtype: str
    model_shape: tuple[int, ...]
    encoding: QuantizedAs | None
    image: ImageView | None
    frame: Loops | None
    values: Loops | None
    permutation: tuple[int, ...] | None
    frames: int = field(default=1)

    @property
    def macro(self) -> str:
        """Prefix of its constants."""
        return f"SNAPQ_{self.kind}_{self.id}".upper()

    @property
    def count(self) -> int:
        """How many elements it has."""
        return math.prod(self.shape)

    @property
    def ctype(self) -> str:
        """C type of an element of the package."""
        return C_TYPES[self.dtype]

    @property
    def model_ctype(self) -> str:
        """C type of an element of the float model; halves are converted to it."""
        if self.kind == "out" and self.encoding is not None:
            return "float"
        return "float" if self.model_dtype == "float16" else C_TYPES[self.model_dtype]

    @property
    def comment(self) -> str:
        """What it is, in a line."""
        encoding = ""
        if self.encoding is not None:
            scale, zero = self.encoding.scale, self.encoding.zero_point
            encoding = f", value = (code - {zero}) * {scale:.9g}"
        return c_comment(f"'{self.name}': {self.dtype} {list(self.shape)}{encoding}")

    @property
    def model_comment(self) -> str:
        """What the float model has, in a few words."""
        return f"{self.model_dtype} {list(self.model_shape)}"


def input_view(item: BundleInput, identifier: str) -> TensorView:
    """An input for the templates."""
    image = None if item.image is None else _image(item, item.image)
    frames = 1
    if image is not None:
        frames = math.prod(item.shape) // max(image.height * image.width * image.channels, 1)
    usable = "bfloat16" not in (item.dtype, item.model.dtype)
    return TensorView(
        **_shared(item, identifier, "in"),
        image=image,
        frame=_from_frame(item) if image and usable and item.model.dtype != "uint8" else None,
        values=_from_values(item) if usable else None,
        frames=frames,
    )


def output_view(item: BundleOutput, identifier: str) -> TensorView:
    """An output for the templates."""
    usable = "bfloat16" not in (item.dtype, item.model.dtype)
    return TensorView(
        **_shared(item, identifier, "out"),
        image=None,
        frame=None,
        values=_to_values(item) if usable else None,
    )


def _shared(item: BundleTensor, identifier: str, kind: str) -> dict[str, Any]:
    return {
        "id": identifier,
        "kind": kind,
        "name": item.name,
        "dtype": item.dtype,
        "shape": item.shape,
        "model_dtype": item.model.dtype,
        "model_shape": item.model.shape,
        "encoding": item.encoding,
        "permutation": item.permutation,
    }


def _image(item: BundleInput, image: BundleImage) -> ImageView:
    shape, axis = item.model.shape, item.channel_axis
    assert axis is not None  # the schema has it for every image
    height, width = (size for place, size in enumerate(shape[-3:], len(shape) - 3) if place != axis)
    shorter = image.resize if isinstance(image.resize, int) else 0
    both = image.resize if isinstance(image.resize, tuple) else (0, 0)
    fill = (*image.fill, 0, 0, 0)[:3]
    return ImageView(
        height=height,
        width=width,
        channels=shape[axis],
        order=f"SNAPQ_{image.color.upper()}",
        resample=f"SNAPQ_{image.resample.upper()}",
        shorter_side=shorter,
        resize=both,
        crop=int(image.crop is not None),
        letterbox=int(image.letterbox is not None),
        centred=int(image.align == "center"),
        fill=(fill[0], fill[1], fill[2]),
    )


def _from_frame(item: BundleInput) -> Loops:
    """From pixels, channels last, to the package: as they are, or normalized."""
    assert item.image is not None
    assert item.channel_axis is not None
    if item.raw:
        return _loops(item, _frame_strides(item), "to[{package}] = from[{other}];")
    channel = f"i{item.channel_axis}"
    value = f"((float)from[{{other}}] - mean[{channel}]) / std[{channel}]"
    constants = (
        f"static const float mean[] = {_array(item.image.mean, c_float)};",
        f"static const float std[] = {_array(item.image.std, c_float)};",
    )
    statement = f"to[{{package}}] = {_packed(item, value)};"
    return _loops(item, _frame_strides(item), statement, constants, item.channel_axis)


def _from_values(item: BundleInput) -> Loops:
    """From the float model's values, in its layout, to the package."""
    if not item.folded:
        statement = f"to[{{package}}] = {_packed(item, 'from[{other}]')};"
        return _loops(item, _strides(item.model.shape), statement)
    # The float model's own input: undo what the graph does again.
    assert item.image is not None
    assert item.channel_axis is not None
    assert item.encoding is not None
    channel = f"i{item.channel_axis}"
    zero, scale = c_double(item.encoding.zero_point), c_double(item.encoding.scale)
    pixel = f"(double)from[{{other}}] * std[{channel}] + mean[{channel}]"
    constants = (
        f"static const double mean[] = {_array(item.image.mean, c_double)};",
        f"static const double std[] = {_array(item.image.std, c_double)};",
    )
    statement = f"to[{{package}}] = {_packed(item, f'(float)(({pixel} - {zero}) * {scale})')};"
    return _loops(item, _strides(item.model.shape), statement, constants, item.channel_axis)


def _to_values(item: BundleOutput) -> Loops:
    """From the package to the float model's values, in its layout."""
    given = "from[{package}]"
    if item.encoding is not None:
        zero, scale = c_int(item.encoding.zero_point), c_float(item.encoding.scale)
        value = f"(float)((int64_t){given} - {zero}) * {scale}"
    elif item.dtype == "float16":
        value = f"snapq_from_half({given})"
    else:
        value = given
    return _loops(item, _strides(item.model.shape), f"to[{{other}}] = {value};")


def _packed(item: BundleInput, value: str) -> str:
    """A value as an element of the package."""
    ctype = C_TYPES[item.dtype]
    if item.encoding is not None:
        limits = np.iinfo(item.dtype)
        low, high = c_double(float(limits.min)), c_double(_highest(item.dtype))
        scale, zero = c_float(item.encoding.scale), c_int(item.encoding.zero_point)
        as_float = value if value.startswith(("(float)", "((float)")) else f"(float){value}"
        return f"({ctype})snapq_code({as_float}, {scale}, {zero}, {low}, {high})"
    if item.dtype == "float16":
        return f"snapq_half((double)({value}))"
    return value if item.dtype == item.model.dtype and item.image is None else f"({ctype})({value})"


def _highest(dtype: str) -> float:
    """The largest code that a float can hold, and that is not beyond the type."""
    limit = int(np.iinfo(dtype).max)
    found = np.float32(limit)
    return float(found if int(found) <= limit else np.nextafter(found, np.float32(0)))


def _loops(
    item: BundleTensor,
    other: Sequence[int],
    statement: str,
    constants: tuple[str, ...] = (),
    channel_axis: int | None = None,
) -> Loops:
    """Loops over the model's axes: `{package}` and `{other}` are the places in both arrays."""
    shape = item.model.shape
    own = _strides(item.shape)
    package = [own[axis] for axis in item.permutation] if item.permutation is not None else own
    if list(package) == list(other) and channel_axis is None:
        levels: tuple[Level, ...] = (Level("i", math.prod(shape)),)
        places = {"package": "i", "other": "i"}
    else:
        levels = tuple(Level(f"i{axis}", size) for axis, size in enumerate(shape))
        places = {"package": _place(package, shape), "other": _place(other, shape)}
    if not math.prod(shape):
        return Loops((), "(void)from, (void)to;")
    for key, place in places.items():
        statement = statement.replace(f"{{{key}}}", place)
    return Loops(levels, statement, constants)


def _place(strides: Sequence[int], shape: Sequence[int]) -> str:
    parts = [
        f"i{axis}" if stride == 1 else f"i{axis} * {stride}"
        for axis, stride in enumerate(strides)
        if shape[axis] != 1
    ]
    return " + ".join(parts) or "0"


def _strides(shape: Sequence[int]) -> list[int]:
    """How many elements each axis skips."""
    return [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]


def _frame_strides(item: BundleInput) -> list[int]:
    """The same in frames, whose channels come last, for the model's axes."""
    rank, axis = len(item.model.shape), item.channel_axis
    assert axis is not None
    order = [place for place in range(rank) if place != axis] + [axis]
    strides = _strides([item.model.shape[place] for place in order])
    return [strides[order.index(place)] for place in range(rank)]


def _array(values: Sequence[float], literal: object) -> str:
    assert callable(literal)
    return "{" + ", ".join(literal(value) for value in values) + "}"
