"""The size of pictures as a dimension of a search: the model's input and how pictures are prepared.

It is searched where a network takes one picture and gives outputs of the same shapes whatever the
size, as classifiers that end in a global mean do, and where a metric says what a smaller picture
costs: the SQNR is against the float model at the same size, and cannot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from snapq.config import DeployConfig
from snapq.cpu import CpuModel
from snapq.errors import SnapqError
from snapq.graph.cutting import open_given
from snapq.graph.shapes import TensorSpec, input_specs, static_shape
from snapq.quantization.existing_qdq.strip import is_quantized

_SHARES = (0.75, 0.875)
"""Sizes that are tried where none are named."""
_EVEN = 16
"""Sizes that are tried by themselves are multiples of this."""
_SIZES = ("resize", "crop", "letterbox")
_USES = ("calibration", "training", "evaluation")


@dataclass(frozen=True)
class Picture:
    """The input that takes pictures.

    Attributes:
        name: of the input.
        shape: as the file has it.
        rows: axis of the height; the width is the next one.
        preprocess: how each use of data prepares pictures.
    """

    name: str
    shape: tuple[int, ...]
    rows: int
    preprocess: Mapping[str, Mapping[str, Any]]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width as the file has them."""
        return self.shape[self.rows], self.shape[self.rows + 1]

    def at(self, size: int | Sequence[int]) -> list[int]:
        """The input's shape at a height (the ratio is kept), or a height and a width."""
        height, width = self._pair(size)
        shape = list(self.shape)
        shape[self.rows : self.rows + 2] = [height, width]
        return shape

    def keys(self, size: int | Sequence[int]) -> dict[str, Any]:
        """The keys of deploy.yaml that make pictures of a size; none at the file's own."""
        if self._pair(size) == self.size:
            return {}
        share = self._pair(size)[0] / self.size[0]
        made: dict[str, Any] = {f'model.inputs."{self.name}"': self.at(size)}
        for use, options in self.preprocess.items():
            scaled = {
                key: _scaled(value, share, self._pair(size) if key != "resize" else None)
                if key in _SIZES and value is not None
                else value
                for key, value in options.items()
            }
            if not any(options.get(key) is not None for key in _SIZES):
                scaled["resize"] = list(self._pair(size))  # the pictures had the input's own size
            made[f"data.{use}.preprocess"] = scaled
        return made

    def _pair(self, size: int | Sequence[int]) -> tuple[int, int]:
        if not isinstance(size, int):
            return size[0], size[1]
        return size, round(size * self.size[1] / self.size[0])


def _scaled(value: Any, share: float, exact: tuple[int, int] | None) -> Any:
    """A size of `preprocess`, scaled; one that is the input's own becomes its new size."""
    if isinstance(value, int):
        if exact is not None and exact[0] == exact[1]:
            return exact[0]
        return max(1, round(value * share))
    return list(exact) if exact is not None else [max(1, round(one * share)) for one in value]


def picture_of(
    config: DeployConfig, inputs: Sequence[TensorSpec], base: Mapping[str, Any]
) -> tuple[Picture | None, str]:
    """The input whose size can be searched; else None and why not."""
    sources = {use: getattr(config.data, use) for use in _USES}
    given = {use: source for use, source in sources.items() if source is not None}
    if config.metric is None:
        return None, "there is no metric, and only that can tell what smaller pictures cost"
    if len(inputs) != 1 or any(source.images is None for source in given.values()):
        return None, "the samples are no pictures for the one input of the model"
    spec = inputs[0]
    channels = [axis for axis in (1, len(spec.shape) - 1) if spec.shape[axis] in (1, 3)]
    if len(spec.shape) != 4 or not channels:
        return None, f"the input {spec.name} {list(spec.shape)} is no picture"
    rows = 2 if channels[0] == 1 else 1
    preprocess = {use: base["data"][use].get("preprocess") or {} for use in given}
    return Picture(spec.name, tuple(spec.shape), rows, preprocess), ""


def sizes(config: DeployConfig, picture: Picture) -> tuple[int, ...]:
    """Smaller heights that the model takes, and its own behind them; none where it takes none."""
    height, width = picture.size
    tried = [round(height * share / _EVEN) * _EVEN for share in _SHARES]
    smaller = [one for one in tried if _EVEN * 2 <= one < height and (one * width) % height == 0]
    fit = [one for one in smaller if takes(config, picture, one)]
    return (*dict.fromkeys(fit), height) if fit else ()


def takes(config: DeployConfig, picture: Picture, size: int | Sequence[int]) -> bool:
    """Whether the model computes pictures of a size, to outputs of the same shapes."""
    try:
        found = [
            _outputs(config, {**config.model.inputs, picture.name: tuple(picture.at(one))})
            for one in (list(picture.size), size)
        ]
    except SnapqError:
        return False
    return found[0] == found[1]


def _outputs(config: DeployConfig, shapes: Mapping[str, Any]) -> list[tuple[int, ...]]:
    """Shapes of the outputs, computed of zeros. Raises `SnapqError` where that does not work."""
    model = open_given(config.model.path, shapes, config.model.outputs).model
    feeds = {spec.name: np.zeros(spec.shape, spec.dtype) for spec in input_specs(model)}
    stated = [static_shape(value) for value in model.graph.outputs]
    found = CpuModel(model, optimize=not is_quantized(model)).run(feeds)
    computed = [tuple(one.shape) for one in found.values()]
    return computed if None in stated else [shape for shape in stated if shape is not None]
