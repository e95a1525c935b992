"""Sizes for dynamic dimensions: the first at which a model runs on the CPU.

The usual ones come first, then those that the file itself names: an export by tracing declares
dimensions as dynamic whose sizes it has fixed in shapes and tables of positions.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import isqrt
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx_ir as ir

from snapq.errors import ModelError

if TYPE_CHECKING:
    from snapq.cpu import CpuModel

IMAGE_SIZES = (224, 320, 640, 256, 32, 48, 192, 160, 128, 512)
LENGTHS = (128, 512, 576, 16000)
_BATCH = re.compile(r"batch", re.IGNORECASE)
_FIRST_BATCH = re.compile(r"n|bs?|.*batch.*", re.IGNORECASE)
_LENGTH = re.compile(r"seq|len|time|frame|sample", re.IGNORECASE)
_SOUND = re.compile(r"audio|wav|pcm|samples|speech|sound", re.IGNORECASE)
_FIXED = range(2, 4097)
"""What may be a size among the constants of a graph."""
_HIGHEST = 1024
_MOST_FIXED = 16
_MOST_HEIGHTS = 6
_LONGEST_SHAPE = 8
_SPECIAL_TOKENS = range(6)
"""Rows of a table of positions beside those of a picture's patches."""
_SECOND = 16000
"""Samples of a second of sound as networks that listen to speech take it."""
_IMAGE_CHANNELS = (1, 3)
_SOUND_CHANNELS = (1, 2)

Dim = int | str
"""A declared dimension: its size, or its name (`?` where it has none)."""


@dataclass(frozen=True)
class SuggestedInput:
    """A model input as declared, and the shape suggested for it.

    Attributes:
        name: the input's name.
        declared: sizes and names of its dimensions; None where not even the rank is declared.
        shape: a size for each dimension.
        dtype: element type.
        runs: whether the model ran at the shapes, or was not asked to.
    """

    name: str
    declared: tuple[Dim, ...] | None
    shape: tuple[int, ...]
    dtype: np.dtype
    runs: bool = True

    @property
    def guessed(self) -> tuple[str, ...]:
        """Names of the dimensions whose size is a guess."""
        return tuple(
            f"axis {axis}" if dim == "?" else dim
            for axis, dim in enumerate(self.declared or ())
            if isinstance(dim, str)
        )

    @property
    def single(self) -> bool:
        """Whether it is one number, or one whole number a batch: a sample rate, a length."""
        return not self.shape or (self.dtype.kind in "iu" and self.shape == (1,))

    @property
    def channels_axis(self) -> int | None:
        """Axis of the channels where the input looks like pictures (NCHW, NHWC), else None."""
        if self.dtype.kind not in "fV" or len(self.shape) != 4:
            return None
        return next((axis for axis in (1, 3) if self.shape[axis] in _IMAGE_CHANNELS), None)


def suggest_inputs(model: ir.Model, path: Path) -> tuple[SuggestedInput, ...]:
    """Suggests a shape for every input of a model.

    Args:
        model: the model.
        path: its file, which is run where dimensions are dynamic.

    Returns:
        The suggestions, in the order of the inputs; where the model runs at none of the sizes,
        those of the first try, which say so.
    """
    from snapq.cpu import CpuModel
    from snapq.graph.foreign import guarded
    from snapq.graph.shapes import graph_inputs

    values = graph_inputs(model)
    lengths = (_SECOND, *LENGTHS) if any(map(_is_sound, values)) else LENGTHS
    fixed = _fixed_sizes(model)
    heights = tuple(size for size in fixed if size <= _HIGHEST)
    sizes = itertools.chain(
        itertools.product(IMAGE_SIZES, lengths),
        itertools.product(_sizes_of_positions(model), (lengths[0], *fixed)),
        itertools.product(heights, lengths[:1]),
        itertools.product(IMAGE_SIZES[:1], fixed),
        ((size, size) for size in heights),
    )
    # Not every model has dimensions of both kinds.
    tries = list(dict.fromkeys(tuple(_suggest(value, *pair) for value in values) for pair in sizes))
    if len(tries) == 1:
        return tries[0]

    def first_that_runs() -> int | None:
        runnable = CpuModel(path, optimize=False)
        return next((place for place, one in enumerate(tries) if _runs(runnable, one)), None)

    try:
        found = guarded(first_that_runs, model)
    except ModelError:
        found = None
    return tries[found] if found is not None else tuple(replace(i, runs=False) for i in tries[0])


def _fixed_sizes(model: ir.Model) -> tuple[int, ...]:
    """The numbers in shapes that the graph holds as constants, most frequent first."""
    counts = Counter(
        number
        for tensor in _constants(model)
        if tensor.dtype == ir.DataType.INT64 and tensor.size <= _LONGEST_SHAPE
        for number in tensor.numpy().reshape(-1).tolist()
        if number in _FIXED
    )
    return tuple(number for number, _ in counts.most_common(_MOST_FIXED))


def _sizes_of_positions(model: ir.Model) -> tuple[int, ...]:
    """Heights of square pictures whose patches fit a table of positions `[1, N, D]` or `[N, D]`."""
    strides = {
        node.attributes["strides"].as_ints()[0]
        for node in model.graph
        if node.op_type == "Conv" and "strides" in node.attributes
    }
    rows = {
        tensor.shape.numpy()[-2]
        for tensor in _constants(model)
        if len(tensor.shape) == 2 or (len(tensor.shape) == 3 and tensor.shape[0] == 1)
    }
    return tuple(
        isqrt(count) * stride
        for stride, one, special in itertools.product(
            sorted(strides, reverse=True), sorted(rows, reverse=True), _SPECIAL_TOKENS
        )
        for count in [one - special]
        if count > 3 and isqrt(count) ** 2 == count
    )[:_MOST_HEIGHTS]


def _constants(model: ir.Model) -> Iterator[ir.TensorProtocol]:
    """Initializers, and what Constant nodes hold as tensors."""
    for value in model.graph.initializers.values():
        if value.const_value is not None:
            yield value.const_value
    for node in model.graph:
        if node.op_type == "Constant" and "value" in node.attributes:
            yield node.attributes["value"].as_tensor()


def _is_sound(value: ir.Value) -> bool:
    """Whether an input is the samples of a sound, by its name or that of a dimension."""
    dims = value.shape.dims if value.shape is not None else ()
    channels = all(dim in _SOUND_CHANNELS for dim in dims if isinstance(dim, int) and dim > 0)
    if value.dtype is None or not value.dtype.is_floating_point() or not channels:
        return False
    names = (str(value.name), *(_name(dim) for dim in dims if not isinstance(dim, int)))
    return len(dims) in (2, 3) and any(map(_SOUND.search, names))


def _suggest(value: ir.Value, image: int, length: int) -> SuggestedInput:
    dtype = np.dtype(value.dtype.numpy()) if value.dtype else np.dtype(np.float32)
    if value.shape is None:
        return SuggestedInput(str(value.name), None, (1,), dtype)
    declared = tuple(
        dim if isinstance(dim, int) and dim > 0 else _name(dim) for dim in value.shape.dims
    )
    size = image if len(declared) == 4 else length
    shape = tuple(
        dim if isinstance(dim, int) else _size(axis, dim, declared, size)
        for axis, dim in enumerate(declared)
    )
    return SuggestedInput(str(value.name), declared, shape, dtype)


def _name(dim: int | ir.SymbolicDim) -> str:
    return "?" if isinstance(dim, int) or not dim.value else str(dim.value)


def _size(axis: int, name: str, declared: Sequence[Dim], size: int) -> int:
    if axis == 0 and (_FIRST_BATCH.fullmatch(name) or not _LENGTH.search(name)):
        return 1
    if _BATCH.search(name):
        return 1
    if len(declared) == 4 and axis == 1 and isinstance(declared[3], str):
        return 3
    if len(declared) == 3 and axis == 1 and isinstance(declared[0], int):
        return 1  # the state of a recurrent layer: [layers, batch, features]
    return size


def _runs(model: CpuModel, inputs: Sequence[SuggestedInput]) -> bool:
    """Whether all outputs have values: a Conv that is longer than its input gives none."""
    try:
        found = model.run({i.name: np.zeros(i.shape, i.dtype) for i in inputs})
    except ModelError:
        return False
    return all(np.size(array) for array in found.values())
