"""What the CPU does around the part on the NPU of a classical model: its head and its tail.

The head makes the part's inputs of the model's rows, the tail makes the model's outputs of the
part's outputs. Both are programs of `snapq.classical.program`, which the bundle carries as data.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from snapq.classical.program import Program
from snapq.errors import ModelError, StorageError
from snapq.evaluation.samples import Array, Dataset, Sample
from snapq.storage import storage_errors

__all__ = [
    "HOST",
    "HOST_ARRAYS",
    "OWN_ROWS",
    "Host",
    "HostFile",
    "encoded",
    "encoded_sample",
    "for_calibration",
]

HOST = "host.json"
"""Head and tail, in the folder of the lower stage."""
HOST_ARRAYS = "host.npz"
"""Their arrays, there and in a bundle."""
_FAILURES = (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError)
"""What a step raises where a program, or what it is given, is not what it should be."""
OWN_ROWS = "own_rows.npz"
"""Rows that a model brings itself, for calibration: support vectors."""


@dataclass(frozen=True)
class Host:
    """Head and tail.

    Attributes:
        head: from the model's inputs to those of the part on the NPU.
        tail: from the outputs of that part, and where it needs them the model's inputs, to the
            model's outputs.
    """

    head: Program
    tail: Program

    def to_json(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """What JSON can hold, and the arrays by the names that it mentions."""
        value: dict[str, Any] = {}
        arrays: dict[str, Array] = {}
        for name, program in (("head", self.head), ("tail", self.tail)):
            written, own = program.to_json()
            for step in written["steps"]:
                step["arrays"] = {key: f"{name}.{kept}" for key, kept in step["arrays"].items()}
            value[name] = written
            arrays.update({f"{name}.{kept}": array for kept, array in own.items()})
        return value, arrays

    @classmethod
    def from_json(cls, value: Mapping[str, Any], arrays: Mapping[str, Array]) -> Host:
        """Reads what `to_json` wrote. Raises `KeyError` where a key or an array is missing."""
        head, tail = (Program.from_json(value[name], arrays) for name in ("head", "tail"))
        return cls(head, tail)

    def encode(self, rows: Mapping[str, Array]) -> dict[str, Array]:
        """The inputs of the part on the NPU. Raises `ModelError` where a step cannot compute."""
        return _run(self.head, rows)

    def decode(self, rows: Mapping[str, Array], outputs: Mapping[str, Array]) -> dict[str, Array]:
        """The model's outputs. Raises `ModelError` where a step cannot compute."""
        return _run(self.tail, {**rows, **outputs})


@dataclass(frozen=True)
class HostFile:
    """Head and tail on disk.

    Attributes:
        folder: holds `host.json` and `host.npz`.
        batch: rows that the model takes at once.
    """

    folder: Path
    batch: int

    def own_rows(self) -> Iterator[dict[str, Array]]:
        """Feeds of the part on the NPU for rows that the model brings itself, batch by batch."""
        path = self.folder / OWN_ROWS
        if not path.is_file():
            return
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        for start in range(0, len(next(iter(arrays.values()))), self.batch):
            yield {name: array[start : start + self.batch] for name, array in arrays.items()}

    @cached_property
    def host(self) -> Host:
        """Head and tail. Raises `StorageError`."""
        with storage_errors(self.folder):
            value = json.loads((self.folder / HOST).read_text(encoding="utf-8"))
            with np.load(self.folder / HOST_ARRAYS, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
        try:
            return Host.from_json(value, arrays)
        except (KeyError, ValueError, TypeError) as error:
            raise StorageError("This is no head and tail.", where=str(self.folder)) from error


def encoded_sample(sample: Sample, host: Host) -> Sample:
    """A sample of rows as the part on the NPU takes it; the rows go along in `beside`."""
    return replace(sample, feeds=host.encode(sample.feeds), beside=sample.feeds)


def encoded(data: Dataset, file: HostFile) -> Dataset:
    """The samples as the part on the NPU takes them."""

    def samples() -> Iterator[Sample]:
        for sample in data:
            yield encoded_sample(sample, file.host)

    return replace(data, make=samples)


def for_calibration(data: Dataset | None, file: HostFile, *, wide: bool) -> Dataset | None:
    """The user's samples as the part on the NPU takes them, and the rows that the model brings.

    The latter hold extreme rows, for whose ranges 8 bits have no room beside the user's.

    Args:
        data: the user's samples, if any.
        file: of the model.
        wide: whether activations have 16 bits.

    Returns:
        None where there are no rows.
    """
    own = sum(1 for _ in file.own_rows())
    if not own or (data is not None and not wide):
        return None if data is None else encoded(data, file)

    def samples() -> Iterator[Sample]:
        if data is not None:
            yield from encoded(data, file)
        for number, feeds in enumerate(file.own_rows()):
            yield Sample(f"support vectors, batch {number + 1}", feeds)

    def fingerprint() -> str:
        return "support vectors" if data is None else f"{data.fingerprint()}, support vectors"

    given = [] if data is None else [data.description]
    count = own + (0 if data is None else len(data))
    text = " and ".join([*given, "the model's own support vectors"])
    return Dataset(samples, count, text, fingerprint, random=data is not None and data.random)


def _run(program: Program, values: Mapping[str, Array]) -> dict[str, Array]:
    try:
        return program.run(values)
    except _FAILURES as error:
        raise ModelError(
            f"The host's part of the model cannot be computed ({type(error).__name__}): {error}"
        ) from error
