"""Tables as samples: a row is a sample, and its label stands in a column of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from snapq.config import DataSource
from snapq.errors import DataError
from snapq.evaluation.files import check_exists
from snapq.evaluation.samples import (
    Dataset,
    Sample,
    convert,
    counted,
    evenly_spaced,
    shown,
    update_digest,
)
from snapq.evaluation.table_file import column_names, read_cells, unknown_column

if TYPE_CHECKING:
    from snapq.graph.shapes import TensorSpec

__all__ = ["open_table"]

_LABELS = frozenset(("target", "label", "labels", "class", "y"))
"""Usual names of a column with labels."""


def open_table(
    source: DataSource, inputs: Sequence[TensorSpec], *, base: Path, labelled: bool
) -> Dataset:
    """Opens `table:` of a data source, and reads and checks every cell that is used.

    Args:
        source: names the file, the columns and the label.
        inputs: of the model; an input takes as many columns as it has numbers in one sample.
        base: folder of the YAML file.
        labelled: whether every row has to have a label.

    Raises:
        DataError: columns and inputs do not fit, or a cell cannot be read; file, row and column
            are named.
    """
    assert source.table is not None
    path = base / source.table
    check_exists(path)
    names = column_names(path)
    if labelled and source.label is None:
        raise DataError(
            "The metric needs labels, and no column is named for them.",
            where=str(path),
            hint="Name it beside `table:`, as `label: NAME`.",
        )
    if source.label is not None and source.label not in names:
        raise unknown_column(source.label, names, path)
    chosen = _columns(source, inputs, names, path)
    known = {
        name: spec.texts for spec in inputs if spec.texts is not None for name in chosen[spec.name]
    }
    columns = [name for group in chosen.values() for name in group]
    cells = read_cells(path, columns, source.label, known)
    available = len(cells.numbers)
    if available == 0:
        raise DataError("It holds no row.", where=str(path), hint="Give it at least one.")
    rows = evenly_spaced(available, source.samples)
    values = _converted(cells.numbers[list(rows)], chosen, inputs, rows, path)

    def samples() -> Iterator[Sample]:
        for index, row in enumerate(rows):
            feeds = {spec.name: values[spec.name][index].reshape(spec.shape) for spec in inputs}
            label = cells.labels[row] if cells.labels else None
            yield Sample(f"{path}, row {row + 1}", feeds, label=label, columns=chosen)

    def fingerprint() -> str:
        digest = hashlib.sha256()
        for name in sorted(values):
            digest.update(name.encode())
            update_digest(digest, values[name])
        digest.update(repr([cells.labels[row] for row in rows] if cells.labels else 0).encode())
        return digest.hexdigest()

    text = counted(len(rows), available, source.samples, "row", shown(path, base))
    return Dataset(samples, len(rows), text, fingerprint)


def _columns(
    source: DataSource, inputs: Sequence[TensorSpec], names: Sequence[str], path: Path
) -> dict[str, tuple[str, ...]]:
    """The columns that feed each input."""
    asked = source.columns
    if isinstance(asked, Mapping):
        chosen = dict(asked)
        unknown = next((name for name in chosen if all(name != i.name for i in inputs)), None)
        if unknown is not None:
            listed = ", ".join(spec.name for spec in inputs)
            raise DataError(
                f"`columns` names the input '{unknown}', which the model does not have.",
                where="columns",
                hint=f"Its inputs are {listed}.",
            )
    elif len(inputs) == 1:
        usual = tuple(name for name in names if name and name != source.label)
        chosen = {inputs[0].name: asked or usual}
    else:
        chosen = {}
    for spec in inputs:
        own = chosen.setdefault(spec.name, (spec.name,) if spec.name in names else ())
        wanted = int(np.prod(spec.shape))
        missing = next((name for name in own if name not in names), None)
        if missing is not None:
            raise unknown_column(missing, names, path)
        if len(own) != wanted:
            beside = f" beside the label '{source.label}'" if source.label and not asked else ""
            raise DataError(
                f"Input '{spec.name}' takes {wanted} column{'s' if wanted != 1 else ''}, and "
                f"{len(own)} feed it{beside}.",
                where=str(path),
                hint=_other_shape(spec, len(own))
                or _with_label(source, wanted, own)
                or "Name them in the model's order: `columns: [NAME, …]`, or of a model with "
                "several inputs `columns: {INPUT: [NAME, …]}`.",
            )
    return chosen


def _with_label(source: DataSource, wanted: int, columns: Sequence[str]) -> str:
    """What to write where all columns are taken, the labels among them."""
    if source.label is not None or source.columns or len(columns) != wanted + 1:
        return ""
    usual = next((name for name in columns if name.lower() in _LABELS), columns[-1])
    return (
        f"Where one of them holds the labels, name it: `label: {usual}`; or name those that feed "
        "the model in `columns: [NAME, …]`."
    )


def _other_shape(spec: TensorSpec, columns: int) -> str:
    """What to write where an input of several rows is given the columns of one."""
    if spec.shape[1:] != (columns,) or not columns:
        return ""
    return (
        "A row is a sample, and networks take the samples of a table one by one: write "
        f"`{spec.name}: [1, {columns}]` under `model: inputs:`."
    )


def _converted(
    numbers: np.ndarray,
    chosen: Mapping[str, Sequence[str]],
    inputs: Sequence[TensorSpec],
    rows: Sequence[int],
    path: Path,
) -> dict[str, np.ndarray]:
    """The values of each input, `[rows, columns]`, of its own type."""
    found: dict[str, np.ndarray] = {}
    order = [(name, column) for name, group in chosen.items() for column in group]
    for spec in inputs:
        own = [index for index, (name, _) in enumerate(order) if name == spec.name]
        values = numbers[:, own]
        wrong = np.argwhere(_unfit(values, spec))
        if len(wrong):
            row, column = map(int, wrong[0])
            value = values[row, column]
            what = "is empty" if np.isnan(value) else f"holds {value:g}"
            raise DataError(
                f"Column '{order[own[column]][1]}' {what} here, which input '{spec.name}' "
                f"({spec.dtype}) cannot take.",
                where=f"{path}, row {rows[row] + 1}",
                hint="Correct the cell, or remove the row.",
            )
        found[spec.name] = convert(values, spec, str(path))
    return found


def _unfit(values: np.ndarray, spec: TensorSpec) -> np.ndarray:
    """Which values an input cannot take."""
    if spec.dtype.kind == "f":
        finite: np.ndarray = np.isfinite(values)
        return ~finite if not spec.missing else np.zeros_like(finite)
    with np.errstate(invalid="ignore"):
        kept: np.ndarray = values.astype(spec.dtype).astype(np.float64) == values
    return ~kept
