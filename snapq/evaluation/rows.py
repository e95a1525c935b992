"""Rows as batches: a model that takes N rows at once is fed N samples of one row each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from snapq.errors import DataError
from snapq.evaluation.samples import Array, Dataset, Sample

if TYPE_CHECKING:
    from snapq.graph.shapes import TensorSpec

__all__ = ["class_numbers", "in_batches", "one_row", "rows_of"]


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


def class_numbers(data: Dataset, known: Sequence[Any] = ()) -> Mapping[Any, int]:
    """The number of each class that labels name, where they are no numbers from 0 on.

    Args:
        data: batches of rows.
        known: the model's classes, in the order of its scores; empty where it does not say them.
            Then texts, and numbers with negative ones among them, are numbered in their order, as
            scikit-learn does.

    Returns:
        Empty where labels are class numbers already, or are no classes.

    Raises:
        DataError: a label is none of `known`; its row is named.
    """
    found: dict[Any, str] = {}
    for sample in data:
        if sample.rows is not None and isinstance(sample.label, np.ndarray):
            for row, label in enumerate(sample.label.tolist()):
                if not isinstance(label, np.ndarray):
                    found.setdefault(label, _row(sample, row))
    texts = bool(found) and all(isinstance(label, str) for label in found)
    whole = bool(found) and all(isinstance(label, int) for label in found)
    if known and (texts or whole):
        _check_known(found, known)
        order = list(known)
        return {} if order == list(range(len(order))) else {one: order.index(one) for one in order}
    if not texts and not (whole and min(found) < 0):
        return {}
    return {label: number for number, label in enumerate(sorted(found))}


def _check_known(found: Mapping[Any, str], known: Sequence[Any]) -> None:
    # Of texts beside numbers the one that is no number is at fault: it made texts of all.
    for label in sorted(found, key=lambda one: str(one).lstrip("-").isdecimal()):
        if label not in known:
            listed = ", ".join(map(repr, known[:6])) + (", …" if len(known) > 6 else "")
            raise DataError(
                f"The label {label!r} is none of the model's classes: {listed}.",
                where=found[label],
                hint="Write the labels as the model was trained with them.",
            )


def rows_of(
    sample: Sample, outputs: Mapping[str, Array], classes: Mapping[Any, int] | None = None
) -> Iterator[tuple[Mapping[str, Array], Any, str]]:
    """Each sample of a batch by itself: its outputs `[1, …]`, label and name.

    Labels, and outputs that are labels, become numbers where `classes` has them. A sample that is
    no batch of rows is given as it is.
    """
    if sample.rows is None:
        yield outputs, sample.label, sample.name
        return
    labels: list[Any] = [None] * sample.rows
    if isinstance(sample.label, np.ndarray):
        labels = list(sample.label)
    for row in range(sample.rows):
        name = _row(sample, row)
        own = {key: value[row : row + 1] for key, value in outputs.items()}
        if classes:
            own = {key: _numbered(value, classes) for key, value in own.items()}
            labels[row] = classes.get(labels[row], labels[row])
        yield own, labels[row], name


def _row(sample: Sample, row: int) -> str:
    return f"{sample.name} (row {row + 1} of the batch)"


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
        columns=group[0].columns,
    )


def _numbered(value: Array, classes: Mapping[Any, int]) -> Array:
    """An output of one label as a class number; others as they are."""
    if value.size != 1 or value.dtype.kind == "f":
        return value
    return np.array([classes.get(value.item(), len(classes))])


def _stacked(labels: Sequence[Any]) -> Array:
    """Labels as an array `[rows]`, each as it is."""
    values = np.empty(len(labels), object)
    values[:] = labels
    return values
