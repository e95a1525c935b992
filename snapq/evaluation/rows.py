"""Rows as batches: a model that takes N rows at once is fed N samples of one row each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from snapq.evaluation.samples import Array, Dataset, Label, Sample

if TYPE_CHECKING:
    from snapq.graph.shapes import TensorSpec

__all__ = ["in_batches", "one_row", "rows_of"]


def one_row(inputs: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
    """The inputs of a model of one row: `[1, F]` for `[N, F]`, where values may be missing."""
    return tuple(replace(spec, shape=(1, *spec.shape[1:]), missing=True) for spec in inputs)


def in_batches(data: Dataset, batch: int) -> Dataset:
    """Makes one sample of `batch` samples of one row each.

    The last one is filled up with its last row; `Sample.rows` says how many rows count. The label
    is an array or a list with one label a row.

    Args:
        data: samples `[1, F]`.
        batch: N, rows of a sample `[N, F]`.
    """

    def samples() -> Iterator[Sample]:
        single = iter(data)
        while group := list(islice(single, batch)):
            yield _batch(group, batch)

    def fingerprint() -> str:
        return hashlib.sha256(f"{data.fingerprint()} {batch}".encode()).hexdigest()

    count = -(-len(data) // batch)
    return replace(data, make=samples, count=count, fingerprint=fingerprint)


def rows_of(
    sample: Sample, outputs: Mapping[str, Array]
) -> Iterator[tuple[Mapping[str, Array], Any, str]]:
    """Each sample of a batch by itself: its outputs `[1, …]`, label and name.

    A sample that is no batch of rows is given as it is.
    """
    if sample.rows is None:
        yield outputs, sample.label, sample.name
        return
    labels: Sequence[Label | None] = [None] * sample.rows
    if isinstance(sample.label, np.ndarray):
        labels = list(sample.label)
    for row in range(sample.rows):
        name = f"{sample.name} (row {row + 1} of the batch)"
        yield {key: value[row : row + 1] for key, value in outputs.items()}, labels[row], name


def _batch(group: Sequence[Sample], batch: int) -> Sample:
    filled = [*group, *[group[-1]] * (batch - len(group))]
    names = group[0].feeds
    labels = [sample.label for sample in group]
    known = all(label is not None for label in labels)
    return Sample(
        f"{group[0].name} and {len(group) - 1} behind it" if len(group) > 1 else group[0].name,
        {name: np.concatenate([sample.feeds[name] for sample in filled]) for name in names},
        label=_stacked(labels) if known else None,
        rows=len(group),
    )


def _stacked(labels: Sequence[Any]) -> Array:
    """Labels as an array `[rows]`, each as it is."""
    values = np.empty(len(labels), object)
    values[:] = labels
    return values
