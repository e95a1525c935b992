"""Calibration samples that are given in Python or on the command line, as a data set."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from itertools import islice
from pathlib import Path

import numpy as np
import onnx_ir as ir

from snapq.config import DataSource
from snapq.errors import ConfigError
from snapq.evaluation.samples import Dataset, Sample
from snapq.graph.shapes import TensorSpec
from snapq.scratch import Scratch

GivenSamples = Iterable[Mapping[str, np.ndarray] | np.ndarray]
"""Samples of a caller: `{input: array}` each, or an array each where the model has one input."""


def calibration_source(
    calibration: GivenSamples | str | Path | None,
    samples: int | None,
    random_inputs: bool,
) -> DataSource | GivenSamples:
    """Where calibration samples come from: a path, samples of the caller, or random inputs.

    Raises:
        ConfigError: none of them is given, they are no list of samples, or `samples` is no number
            above 0.
    """
    if samples is not None and not 0 < samples < 1 << 31:
        raise ConfigError(
            f"{samples} is no number of samples.", where="samples", hint="Give one above 0."
        )
    if isinstance(calibration, str | Path):
        path = Path(calibration)
        arrays = path.suffix in {".npy", ".npz"} or (path.is_dir() and any(path.glob("*.np[yz]")))
        return DataSource(**{"arrays" if arrays else "images": path, "samples": samples})
    if calibration is not None:
        refuse_one_sample(calibration, "--calibration")
        return calibration if samples is None else _First(calibration, samples)
    if random_inputs:
        return DataSource(random=True, samples=samples or 8)
    hint = "Give a folder of images or .npy/.npz arrays; to try things out: --random-inputs."
    raise ConfigError("Quantizing needs calibration samples.", where="--calibration", hint=hint)


def refuse_one_sample(calibration: object, where: str) -> None:
    """Raises `ConfigError` for one sample in the place of a list of them, or what is neither."""
    hint = "Give a list with an array for each sample, or with {input: array} for each."
    if isinstance(calibration, Mapping):
        what = "One sample is given, and a list of samples is needed."
    elif hasattr(calibration, "__array__"):
        what = "One array is given, and a list of samples is needed."
    elif not isinstance(calibration, Iterable):
        what = f"{type(calibration).__name__} is neither a path nor a list of samples."
    else:
        return
    raise ConfigError(what, where=where, hint=hint)


class _First:
    """The first samples of those that are given; read anew each time."""

    def __init__(self, samples: GivenSamples, count: int) -> None:
        self._samples, self._count = samples, count

    def __iter__(self) -> Iterator[Mapping[str, np.ndarray] | np.ndarray]:
        return islice(iter(self._samples), self._count)


def given_samples(samples: GivenSamples, inputs: Sequence[TensorSpec] = ()) -> Dataset:
    """Samples that the caller holds or makes, as a data set.

    Real numbers become those of `inputs`: 16-bit floats may be given where the model takes 32.

    What can be read but once, a generator, is put into files of a temporary folder, so that no more
    than one sample is in memory.
    """
    names = [spec.name for spec in inputs]
    once = isinstance(samples, Iterator | _First)
    kept = _Kept(samples, names) if once else samples
    count = len(kept) if isinstance(kept, Sized) else sum(1 for _ in kept)

    def made() -> Iterator[Sample]:
        for index, given in enumerate(kept):
            yield Sample(f"sample {index}", as_taken(as_sample(given, names, index), inputs))

    def fingerprint() -> str:
        digest = hashlib.sha256()
        for index, given in enumerate(kept):
            for name, value in sorted(as_sample(given, names, index).items()):
                array = np.asarray(value)
                digest.update(f"{name} {array.dtype} {array.shape}".encode())
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    return Dataset(made, count, "samples given in Python", fingerprint)


def as_sample(given: object, inputs: Sequence[str], index: int) -> Mapping[str, np.ndarray]:
    """One sample of a caller as `{input: array}`; of a model with one input it may be the array.

    Raises:
        ConfigError: it is neither, or the model has several inputs.
    """
    where = f"sample {index}"
    if isinstance(given, Mapping):
        wrong = next((name for name in given if not isinstance(name, str)), None)
        if wrong is None:
            return given
        hint = "Write {'input': array}."
        raise ConfigError(f"{wrong!r} is no name of an input.", where=where, hint=hint)
    if not hasattr(given, "__array__"):
        raise ConfigError(
            f"{type(given).__name__} is neither an array nor a mapping of input to array.",
            where=where,
            hint="Give NumPy arrays, or {'input': array} for each sample.",
        )
    if len(inputs) != 1:
        shape = ", ".join(f"{name!r}: array" for name in inputs) or "'input': array"
        raise ConfigError(
            f"The sample is one array, and the model has {len(inputs) or 'several'} inputs.",
            where=where,
            hint=f"Give {{{shape}}} for each sample.",
        )
    return {inputs[0]: np.asarray(given)}


def as_taken(
    feeds: Mapping[str, np.ndarray], inputs: Sequence[TensorSpec]
) -> dict[str, np.ndarray]:
    """A sample with its real numbers in the types that the inputs have.

    Codes of an input that took codes become their real numbers; other integers stay.
    """
    specs = {spec.name: spec for spec in inputs}
    found = {}
    for name, given in feeds.items():
        array, spec = np.asarray(given), specs.get(name)
        array, wanted = (spec.real(array), spec.dtype) if spec is not None else (array, None)
        real = (
            wanted is not None
            and wanted.kind == "f"
            and ir.DataType.from_numpy(array.dtype).is_floating_point()
        )
        found[name] = array.astype(wanted) if real else array
    return found


class _Kept:
    """What an iterator gives, in files that go with this object."""

    def __init__(self, samples: GivenSamples, inputs: Sequence[str]) -> None:
        self._folder = Scratch()
        self._names: list[tuple[str, ...]] = []
        for index, given in enumerate(samples):
            feeds = as_sample(given, inputs, index)
            np.savez(self._file(len(self)), *map(np.asarray, feeds.values()))
            self._names.append(tuple(feeds))

    def _file(self, index: int) -> Path:
        return self._folder.path / f"{index}.npz"

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        for index, names in enumerate(self._names):
            with np.load(self._file(index), allow_pickle=False) as file:
                yield {name: file[f"arr_{place}"] for place, name in enumerate(names)}
