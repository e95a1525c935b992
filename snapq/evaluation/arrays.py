"""Arrays as samples: one file that holds many, or a folder with a file for each sample.

A sample has the input's shape, or that shape without a leading 1. In one file the samples lie along
the first axis: for an input [1, 3, 224, 224] the array is [N, 3, 224, 224] or [N, 1, 3, 224, 224];
for a state [2, 1, 128] it is [N, 2, 1, 128]. An array of exactly the input's shape is one sample.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from snapq.config import DataSource
from snapq.errors import DataError
from snapq.evaluation.array_file import ArrayFile, open_npy, open_npz
from snapq.evaluation.files import check_exists, list_files
from snapq.evaluation.labels import array_labels, load_npy, no_labels, read_labels
from snapq.evaluation.samples import (
    Array,
    Dataset,
    Label,
    Labels,
    Sample,
    check_names,
    convert,
    counted,
    evenly_spaced,
    named_input,
    shown,
    update_digest,
)

if TYPE_CHECKING:
    from snapq.graph.shapes import TensorSpec

_SUFFIXES = (".npy", ".npz")


Raw = Callable[[], Iterator[tuple[str, dict[str, Array], Label | None]]]
"""Makes name, arrays by input name and label of each selected sample, in order."""


def _dataset(
    raw: Raw,
    inputs: Sequence[TensorSpec],
    count: int,
    description: str,
    labels: Labels | None = None,
) -> Dataset:
    def samples() -> Iterator[Sample]:
        for name, arrays, label in raw():
            feeds = {
                spec.name: convert(arrays[spec.name].reshape(spec.shape), spec, name)
                for spec in inputs
            }
            yield Sample(name, feeds, label=label)

    def fingerprint() -> str:
        digest = hashlib.sha256()
        for _, arrays, label in raw():
            for key in sorted(arrays):
                digest.update(key.encode())
                update_digest(digest, arrays[key])
            update_digest(digest, label)
        return digest.hexdigest()

    return Dataset(samples, count, description, fingerprint, labels=labels)


def open_arrays(
    source: DataSource, inputs: Sequence[TensorSpec], *, base: Path, labelled: bool
) -> Dataset:
    """Opens `arrays:` of a data source; reads headers only.

    Raises:
        DataError: a file, its keys, shapes or labels do not fit.
    """
    assert source.arrays is not None
    path = base / source.arrays
    check_exists(path)
    if labelled and source.labels is None:
        raise DataError(
            "These arrays have no labels, and the metric needs them.",
            where=str(path),
            hint="Write `labels: FILE.npy` (one label a sample) beside `arrays:`.",
        )
    opener = _open_folder if path.is_dir() else _open_stack
    return opener(path, source, tuple(inputs), base)


def _open_stack(
    path: Path, source: DataSource, inputs: tuple[TensorSpec, ...], base: Path
) -> Dataset:
    """One file that holds all samples."""
    stacks = _arrays_of(path, source, inputs)
    counts = {spec.name: _count(stacks[spec.name], spec) for spec in inputs}
    available = next(iter(counts.values()), 0)
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"'{name}' {count}" for name, count in counts.items())
        raise DataError(
            f"The arrays hold different numbers of samples: {listed}.",
            where=str(path),
            hint="Store the same number of samples for each input, along the first axis.",
        )
    if available == 0:
        raise DataError("It holds no sample.", where=str(path), hint="Store at least one.")
    indices = evenly_spaced(available, source.samples)
    labels = _stack_labels(source, available, base, classes=any(spec.missing for spec in inputs))

    def raw() -> Iterator[tuple[str, dict[str, Array], Label | None]]:
        streams = [_samples(stacks[spec.name], spec, indices) for spec in inputs]
        for index, values in zip(indices, zip(*streams, strict=True), strict=True):
            arrays = {spec.name: value for spec, value in zip(inputs, values, strict=True)}
            yield f"{path}[{index}]", arrays, labels[index] if labels else None

    description = counted(len(indices), available, source.samples, "sample", shown(path, base))

    def named_labels() -> Iterator[tuple[str, Label | None]]:
        return ((f"{path}[{index}]", (labels or [])[index]) for index in indices)

    told = named_labels if labels else None
    return _dataset(raw, inputs, len(indices), description, told)


def _open_folder(
    folder: Path, source: DataSource, inputs: tuple[TensorSpec, ...], base: Path
) -> Dataset:
    """A folder with a file for each sample."""
    beside = base / source.labels if source.labels is not None else None
    files, others = list_files(folder, _SUFFIXES, "array", labels=beside)
    chosen = tuple(files[index] for index in evenly_spaced(len(files), source.samples))
    for file in chosen:
        arrays = _arrays_of(folder / file, source, inputs)
        for spec in inputs:
            if arrays[spec.name].shape not in _sample_shapes(spec):
                raise _wrong_shape(arrays[spec.name], spec, "a sample of it")
    alphabet = base / source.alphabet if source.alphabet is not None else None
    labels = (
        read_labels(beside, files, folder=folder, alphabet=alphabet)
        if beside is not None
        else no_labels
    )

    def raw() -> Iterator[tuple[str, dict[str, Array], Label | None]]:
        for file in chosen:
            arrays = _arrays_of(folder / file, source, inputs)
            values = {name: array.whole() for name, array in arrays.items()}
            yield str(folder / file), values, labels(file)

    description = counted(
        len(chosen), len(files), source.samples, "file", shown(folder, base), others
    )

    def named_labels() -> Iterator[tuple[str, Label | None]]:
        return ((str(folder / file), labels(file)) for file in chosen)

    told = named_labels if beside is not None else None
    return _dataset(raw, inputs, len(chosen), description, told)


def _arrays_of(
    path: Path, source: DataSource, inputs: tuple[TensorSpec, ...]
) -> dict[str, ArrayFile]:
    """Arrays of one file by input name."""
    if path.suffix.lower() == ".npz":
        arrays = open_npz(path)
        check_names(list(arrays), inputs, str(path))
        return arrays
    if path.suffix.lower() != ".npy":
        hint = "Write it with numpy.save or numpy.savez."
        raise DataError("Arrays come as .npy or .npz files.", where=str(path), hint=hint)
    keys = ", ".join(f"{spec.name}=..." for spec in inputs)
    hint = f"Store all inputs in one .npz: numpy.savez(path, {keys})"
    fed = named_input(source, inputs, str(path), "A .npy file feeds", hint)
    return {fed.name: open_npy(path)}


def _sample_shapes(spec: TensorSpec) -> tuple[tuple[int, ...], ...]:
    """Shapes that one sample of an input may have."""
    without = (spec.shape[1:],) if spec.shape[:1] == (1,) else ()
    return (spec.shape, *without)


def _count(array: ArrayFile, spec: TensorSpec) -> int:
    if array.shape == spec.shape:
        return 1
    if array.shape and array.shape[1:] in _sample_shapes(spec):
        return array.shape[0]
    raise _wrong_shape(array, spec, "N samples of it")


def _samples(array: ArrayFile, spec: TensorSpec, indices: tuple[int, ...]) -> Iterator[Array]:
    if array.shape == spec.shape:  # [1, ...] is also a stack of one, which is the same
        yield array.whole()
    else:
        yield from array.slices(indices)


def _wrong_shape(array: ArrayFile, spec: TensorSpec, what: str) -> DataError:
    stacked = what.startswith("N")
    shapes = [f"[{', '.join(('N',) * stacked + tuple(map(str, s)))}]" for s in _sample_shapes(spec)]
    return DataError(
        f"Its shape is {list(array.shape)}; input '{spec.name}' is of shape {list(spec.shape)}, so "
        f"{what} {'are' if stacked else 'is'} {' or '.join(shapes)}.",
        where=array.where,
        hint="Reshape the array, or correct the input's shape under `model: inputs:`.",
    )


def _stack_labels(
    source: DataSource, count: int, base: Path, *, classes: bool
) -> list[Label] | None:
    if source.labels is None:
        return None
    path = base / source.labels
    if path.suffix.lower() != ".npy" or not path.is_file():
        raise DataError(
            "Labels of arrays in one file come as a .npy file."
            if path.exists()
            else "There is no such file of labels.",
            where=str(path),
            hint="Write them with numpy.save, one label a sample, in the samples' order.",
        )
    return array_labels(load_npy(path), count, path, classes=classes)
