"""Calibration samples that are given in Python or on the command line, as a data set."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from pathlib import Path

import numpy as np
import onnx_ir as ir

from snapq.config import DataSource
from snapq.errors import ConfigError
from snapq.evaluation.samples import Dataset, Sample
from snapq.graph.shapes import TensorSpec
from snapq.scratch import Scratch


def calibration_source(
    calibration: Iterable[Mapping[str, np.ndarray]] | str | Path | None,
    samples: int | None,
    random_inputs: bool,
) -> DataSource | Iterable[Mapping[str, np.ndarray]]:
    """Where calibration samples come from: a path, samples of the caller, or random inputs.

    Raises:
        ConfigError: none of them is given, or `samples` is no number above 0.
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
        return calibration
    if random_inputs:
        return DataSource(random=True, samples=samples or 8)
    hint = "Give a folder of images or .npy/.npz arrays; to try things out: --random-inputs."
    raise ConfigError("Quantizing needs calibration samples.", where="--calibration", hint=hint)


def given_samples(
    samples: Iterable[Mapping[str, np.ndarray]], inputs: Sequence[TensorSpec] = ()
) -> Dataset:
    """Samples that the caller holds or makes, as a data set.

    Real numbers become those of `inputs`: 16-bit floats may be given where the model takes 32.

    What can be read but once, a generator, is put into files of a temporary folder, so that no more
    than one sample is in memory.
    """
    kept = _Kept(samples) if isinstance(samples, Iterator) else samples
    count = len(kept) if isinstance(kept, Sized) else sum(1 for _ in kept)

    def made() -> Iterator[Sample]:
        for index, feeds in enumerate(kept):
            yield Sample(f"sample {index}", as_taken(feeds, inputs))

    def fingerprint() -> str:
        digest = hashlib.sha256()
        for feeds in kept:
            for name, array in sorted(feeds.items()):
                digest.update(f"{name} {array.dtype} {array.shape}".encode())
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    return Dataset(made, count, "samples given in Python", fingerprint)


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

    def __init__(self, samples: Iterator[Mapping[str, np.ndarray]]) -> None:
        self._folder = Scratch()
        self._names: list[tuple[str, ...]] = []
        for feeds in samples:
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
