"""Sizes for dynamic dimensions: the first of the usual ones at which a model runs on the CPU."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from snapq.errors import ModelError

if TYPE_CHECKING:
    import onnx_ir as ir

    from snapq.cpu import CpuModel

IMAGE_SIZES = (224, 320, 640, 256, 32, 48, 192, 160, 128, 512)
LENGTHS = (128, 512, 576, 16000)
_BATCH = re.compile(r"batch", re.IGNORECASE)
_FIRST_BATCH = re.compile(r"n|bs?|.*batch.*", re.IGNORECASE)
_LENGTH = re.compile(r"seq|len|time|frame|sample", re.IGNORECASE)
_SOUND = re.compile(r"audio|wav|pcm|samples|speech|sound", re.IGNORECASE)
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
    """

    name: str
    declared: tuple[Dim, ...] | None
    shape: tuple[int, ...]
    dtype: np.dtype

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
        The suggestions, in the order of the inputs; where the model runs at none of the usual
        sizes, those of the first try.
    """
    from snapq.cpu import CpuModel
    from snapq.graph.foreign import guarded
    from snapq.graph.shapes import graph_inputs

    values = graph_inputs(model)
    lengths = (_SECOND, *LENGTHS) if any(map(_is_sound, values)) else LENGTHS
    tries = [
        tuple(_suggest(value, image, length) for value in values)
        for image, length in itertools.product(IMAGE_SIZES, lengths)
    ]
    # Not every model has dimensions of both kinds.
    tries = list(dict.fromkeys(tries))
    if len(tries) == 1:
        return tries[0]

    def first_that_runs() -> int:
        runnable = CpuModel(path, optimize=False)
        return next((place for place, one in enumerate(tries) if _runs(runnable, one)), 0)

    try:
        return tries[guarded(first_that_runs, model)]
    except ModelError:
        return tries[0]


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
