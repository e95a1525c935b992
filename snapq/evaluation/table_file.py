"""Files with named columns: CSV by itself, Parquet and Arrow where pyarrow is installed."""

from __future__ import annotations

import csv
import importlib
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from snapq.errors import DataError, did_you_mean
from snapq.evaluation.samples import UNKNOWN_TEXT, Array

__all__ = ["Cells", "column_names", "read_cells"]

ARROW = {".parquet": "parquet", ".pq": "parquet", ".arrow": "feather", ".feather": "feather"}
"""The module of pyarrow that reads a file, by its ending."""
_MISSING = frozenset(("", "na", "n/a", "nan", "null", "none"))
_SEPARATORS = ",;\t|"
_LARGEST_CELL = 1000
_EXACT = 2.0**53


@dataclass(frozen=True)
class Cells:
    """What was read of a table.

    Attributes:
        numbers: float64 [rows, columns], NaN where a cell is empty.
        labels: one a row, as text or numbers; empty where no column was named for them.
    """

    numbers: Array
    labels: tuple[Any, ...]


def column_names(path: Path) -> tuple[str, ...]:
    """The names of a table's columns, in their order.

    Raises:
        DataError: the file is no table, two columns have one name, or pyarrow is missing.
    """
    if path.suffix.lower() in ARROW:
        names = tuple(map(str, _arrow(path).column_names))
    else:
        with _csv(path) as rows:
            names = tuple(name.strip() for name in next(rows, ()))
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise DataError(
            f"Two columns are named '{twice}'.", where=str(path), hint="Rename one of them."
        )
    if not any(names):
        raise DataError(
            "It has no first line with the names of the columns.",
            where=str(path),
            hint="Write the names of the columns in the first line: `age,income,target`.",
        )
    return names


def read_cells(
    path: Path,
    columns: Sequence[str],
    label: str | None,
    texts: Mapping[str, Sequence[str]] | None = None,
) -> Cells:
    """The numbers of some columns, and the labels.

    Args:
        path: the file.
        columns: names of columns of numbers; each is one of the file's.
        label: name of the column of labels, if any.
        texts: for columns of text, the texts that the model knows; a cell is the place of its own
            there, or -1.

    Raises:
        DataError: no cell of a column of text holds one that the model knows; a cell is not a
            number, or a row is too short or too long; file, row and column are named.
    """
    coded = {name: _Coded(name, known) for name, known in (texts or {}).items()}
    if path.suffix.lower() in ARROW:
        return _arrow_cells(path, columns, label, coded)
    names = column_names(path)
    places = [names.index(name) for name in columns]
    own = None if label is None else names.index(label)
    numbers, labels = array("d"), []
    with _csv(path) as rows:
        next(rows)
        for row in rows:
            if not row:
                continue
            if len(row) != len(names):
                raise DataError(
                    f"The row has {len(row)} cells, and the first line names {len(names)} columns.",
                    where=f"{path}:{rows.line}",
                    hint="Write as many cells as there are columns.",
                )
            own_cells = [row[index] for index in places]
            for at, name in enumerate(columns) if coded else ():
                if name in coded:
                    own_cells[at] = coded[name].place(own_cells[at])
            numbers.extend(_numbers(own_cells, columns, path, rows.line))
            if own is not None:
                labels.append(_label(row[own], f"{path}:{rows.line}", names[own]))
    for one in coded.values():
        one.check(path)
    shaped = np.frombuffer(numbers, np.float64) if numbers else np.zeros(0)
    return Cells(shaped.reshape(-1, max(len(places), 1)), _as_numbers(labels))


class _Coded:
    """A column of text, whose cells become the places of their texts in a list."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        self._name = name
        self._places = {text: str(place) for place, text in enumerate(known)}
        self._found = False
        self._first = ""

    def place(self, cell: str) -> str:
        place = self._places.get(cell) or self._places.get(cell.strip())
        self._found = self._found or place is not None
        self._first = self._first or cell
        return place or str(UNKNOWN_TEXT)

    def check(self, path: Path) -> None:
        """Raises `DataError` where none of its cells was in the list."""
        if self._first and not self._found:
            listed = ", ".join(map(repr, list(self._places)[:6]))
            raise DataError(
                f"Column '{self._name}' holds texts such as {self._first[:40]!r}, and none that "
                f"the model knows.",
                where=str(path),
                hint=f"It knows {listed}{', …' if len(self._places) > 6 else ''}.",
            )


class _csv:  # noqa: N801 (a context manager that reads as a function)
    """The rows of a CSV whose cells are separated by what the first line is separated by."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> _csv:
        self._file = self._path.open(encoding="utf-8-sig", newline="")
        try:
            first = self._file.readline()
        except (OSError, UnicodeDecodeError) as error:
            self._file.close()
            raise self._no_csv(error) from error
        separator = max(_SEPARATORS, key=first.count)
        # The line that was read stands in front again, as a quoted name may go on in the next one.
        self._rows = csv.reader(chain([first], self._file), delimiter=separator, strict=True)
        return self

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        try:
            return next(self._rows)
        except (csv.Error, OSError, UnicodeDecodeError) as error:
            raise self._no_csv(error) from error

    @property
    def line(self) -> int:
        """Number of the line that was read last."""
        return self._rows.line_num

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _no_csv(self, error: Exception) -> DataError:
        return DataError(
            f"It is not a CSV in UTF-8: {error}.",
            where=str(self._path),
            hint="The first line names the columns, then there is one line a row.",
        )


def _numbers(cells: Sequence[str], columns: Sequence[str], path: Path, line: int) -> list[float]:
    """The numbers in the cells of a row."""
    try:
        if not any("_" in cell for cell in cells):  # which Python's numbers may have inside
            return list(map(float, cells))
    except ValueError:
        pass
    pairs = zip(cells, columns, strict=True)
    return [_number(cell, f"{path}:{line}", column) for cell, column in pairs]


def _number(text: str, where: str, column: str) -> float:
    """The number in a cell; NaN for one that is empty."""
    plain = text.strip()
    if plain.lower() in _MISSING:
        return float("nan")
    try:
        if "_" not in plain:
            return float(plain)
    except ValueError:
        pass
    shown = plain if len(plain) <= 40 else f"{plain[:40]}…"
    raise DataError(
        f"'{shown}' in column '{column}' is not a number.",
        where=where,
        hint="Correct the cell, or leave the column out with `columns`.",
    )


def _label(text: str, where: str, column: str) -> str:
    plain = text.strip()
    if not plain or len(plain) > _LARGEST_CELL:
        raise DataError(
            f"Column '{column}' has {'no' if not plain else 'an overlong'} label here.",
            where=where,
            hint="Give each row a label, or remove the row.",
        )
    return plain


def _as_numbers(labels: Sequence[str]) -> tuple[Any, ...]:
    """Labels as whole numbers where all of them are, as numbers, or as texts."""
    with suppress(ValueError):
        return tuple(map(int, labels))
    try:
        numbers = tuple(map(float, labels))
    except ValueError:
        return tuple(labels)
    # Tables that once lacked a cell have whole numbers as 1.0.
    whole = all(one.is_integer() and abs(one) < _EXACT for one in numbers)
    return tuple(map(int, numbers)) if whole else numbers


def _arrow(path: Path) -> Any:
    """The table of a Parquet or Arrow file."""
    kind = ARROW[path.suffix.lower()]
    try:
        reader = importlib.import_module(f"pyarrow.{kind}")
    except ImportError:
        raise DataError(
            f"A {path.suffix} file is read with pyarrow, which is not installed.",
            where=str(path),
            hint="Install it (pip install pyarrow), or save the table as a CSV.",
        ) from None
    try:
        return reader.read_table(str(path))
    except Exception as error:  # pyarrow raises errors of many kinds for damaged files
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(
            f"It cannot be read: {reason}.", where=str(path), hint="Save the table anew."
        ) from error


def _arrow_cells(
    path: Path, columns: Sequence[str], label: str | None, coded: Mapping[str, _Coded]
) -> Cells:
    table = _arrow(path)
    found = np.empty((table.num_rows, len(columns)))
    for index, name in enumerate(columns):
        listed = table.column(name).to_pylist()
        if name in coded:
            places = [coded[name].place("" if one is None else str(one)) for one in listed]
            coded[name].check(path)
            found[:, index] = np.array(places, np.float64)
            continue
        values = np.array([np.nan if value is None else value for value in listed])
        if values.dtype.kind not in "biuf":
            raise DataError(
                f"Column '{name}' is of type {table.schema.field(name).type}, not of numbers.",
                where=str(path),
                hint="Leave it out with `columns`, or store numbers.",
            )
        found[:, index] = values
    labels = () if label is None else tuple(table.column(label).to_pylist())
    if None in labels:
        where = f"{path}, row {labels.index(None) + 1}"
        raise DataError(f"Column '{label}' has no label here.", where=where)
    return Cells(found, labels)


def unknown_column(name: str, names: Sequence[str], path: Path) -> DataError:
    """The error for a column that the table does not have."""
    listed = ", ".join(name for name in names[:12] if name) + (", …" if len(names) > 12 else "")
    return DataError(
        f"The table has no column '{name}'.",
        where=str(path),
        hint=did_you_mean(name, names, f"It has {listed}."),
    )
