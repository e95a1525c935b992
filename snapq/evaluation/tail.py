"""The tail of a model that is cut: what the CPU computes behind the part on the NPU."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from snapq.cpu import CpuModel
from snapq.errors import DataError
from snapq.evaluation.samples import Array, Dataset, Sample
from snapq.graph.shapes import TensorSpec

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = ["Tail", "TailFile", "tail_inputs_apart"]


@dataclass(frozen=True)
class TailFile:
    """A tail on disk.

    Attributes:
        path: the ONNX file.
        outputs: the model's own outputs, in its order; what the tail does not compute of them, the
            part in front of it gives.
    """

    path: Path
    outputs: tuple[str, ...]

    def open(self) -> Tail:
        """Opens it on this machine's CPU. Raises `ModelError` where ONNX Runtime refuses it."""
        return Tail(self.path, self.outputs)


class Tail:
    """A tail on this machine's CPU. Raises `ModelError` where ONNX Runtime refuses it."""

    def __init__(self, model: Path | ir.Model, outputs: tuple[str, ...]) -> None:
        self._outputs = outputs
        self._model = CpuModel(model)
        self._types = {
            item.name: _DTYPES.get(item.type, np.dtype(np.float32))
            for item in self._model.session.get_inputs()
        }

    @property
    def computed(self) -> tuple[str, ...]:
        """The outputs that the tail computes itself."""
        return self._model.outputs

    def lacks(self, sample: Sample, front: Collection[str]) -> str | None:
        """An input of the tail that neither the sample nor the outputs `front` give."""
        known = {*sample.beside, *sample.feeds, *front}
        return next((name for name in self._model.inputs if name not in known), None)

    def run(self, sample: Sample, front: Mapping[str, Array]) -> dict[str, Array]:
        """The model's own outputs of one sample, from what the part in front gave for it.

        Raises:
            DataError: the sample lacks an input that the tail takes.
            ModelError: the tail cannot compute with what it is given.
        """
        known = {**sample.beside, **sample.feeds, **front}
        missing = self.lacks(sample, front)
        if missing is not None:
            raise DataError(
                f"The part behind the cut takes '{missing}', which the sample does not give.",
                where=sample.name,
                hint="Give all inputs of the model, as `arrays:` or `python:` can.",
            )
        feeds = {name: np.asarray(known[name], kind) for name, kind in self._types.items()}
        found = {**front, **self._model.run(feeds)}
        return {name: found[name] for name in self._outputs}


_DTYPES = {
    f"tensor({name})": np.dtype(kind)
    for name, kind in (
        *((name, name) for name in ("int8", "int16", "int32", "int64", "bool", "float16")),
        *((name, name) for name in ("uint8", "uint16", "uint32", "uint64", "double")),
        ("float", "float32"),
    )
}
"""Element types of ONNX Runtime as numpy's."""


def tail_inputs_apart(data: Dataset, only_tail: Sequence[TensorSpec]) -> Dataset:
    """The same samples with what only the tail takes in `beside`, where no other model sees it."""
    if not only_tail:
        return data
    names = {spec.name for spec in only_tail}

    def samples() -> Iterator[Sample]:
        for sample in data:
            beside = {name: value for name, value in sample.feeds.items() if name in names}
            feeds = {name: value for name, value in sample.feeds.items() if name not in names}
            yield replace(sample, feeds=feeds, beside=beside)

    return replace(data, make=samples)
