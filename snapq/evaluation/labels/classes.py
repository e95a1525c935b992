"""Class numbers of files, out of a CSV with the columns `file,label`."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from snapq.errors import DataError, StorageError

_COLUMNS = ("file", "label")
_MAX_DIGITS = 18
_SHOWN = 40


def read_csv(path: Path, files: Sequence[Path], *, folder: Path) -> dict[Path, int]:
    """Class numbers out of a CSV with a header and the columns `file` and `label`.

    Raises:
        DataError: the file is not such a CSV; a row is wrong, double, or of no file; a file has no
            row. The message has the line.
    """
    table: dict[Path, int] = {}
    known = set(files)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            if not set(_COLUMNS) <= set(found := reader.fieldnames or ()):
                raise DataError(
                    f"Its first line is `{','.join(found)}` and has to name the columns "
                    "`file,label`.",
                    where=f"{path}:1",
                    hint="Write `file,label` as the first line.",
                )
            for row in reader:
                where = f"{path}:{reader.line_num}"
                file, label = _row(row, where)
                if file in table:
                    raise DataError(
                        f"{file} has a second row.", where=where, hint="Remove one of the rows."
                    )
                if file not in known:
                    hint = "Remove the row, or name the file relative to that folder."
                    raise DataError(f"There is no {file} in {folder}.", where=where, hint=hint)
                table[file] = label
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(
            f"It is not a CSV in UTF-8: {error}.",
            where=str(path),
            hint="The first line is `file,label`, then one line a file: `cat.jpg,281`.",
        ) from error
    except OSError as error:
        raise StorageError(
            f"{error.strerror}.", where=str(path), hint="Check its permissions."
        ) from error
    missing = [file for file in files if file not in table]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(files)} files have no row, the first is {missing[0]}.",
            where=str(path),
            hint="Add a row for each file of the data set.",
        )
    return table


def _row(row: dict[str | Any, str | Any], where: str) -> tuple[Path, int]:
    file, label = row["file"], row["label"]
    if not file or label is None or None in row:
        raise DataError(
            "The row has not as many columns as the first line.",
            where=where,
            hint="Write a file and its label: `cat.jpg,281`.",
        )
    text = label.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        hint = "Write an integer, counted from 0."
        shown = label if len(label) <= _SHOWN else f"{label[:_SHOWN]}…"
        raise DataError(f"The label '{shown}' is not a class number.", where=where, hint=hint)
    # Tables made on Windows separate folders by backslashes.
    return Path(PurePosixPath(file.strip().replace("\\", "/"))), int(text)
