"""Texts of files, out of a CSV with the columns `file,text`, and the alphabet of the model."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from snapq.errors import DataError
from snapq.evaluation.samples import Alphabet, Text
from snapq.storage import storage_errors

_BLANK = "<blank>"
_COLUMNS = ("file", "text")


def read_alphabet(path: Path) -> Alphabet:
    """The characters of a model's classes, one a line; an empty last line is none.

    A line `<blank>` says which class is CTC's blank; else it is class 0, in front of all lines.

    Raises:
        DataError: the file is missing, no text in UTF-8, or has no line.
    """
    hint = "Write one character a line, in the order of the model's classes."
    try:
        with storage_errors(path):
            text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError("It is not text in UTF-8.", where=str(path), hint=hint) from error
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    if lines == [""]:
        raise DataError("The alphabet is empty.", where=str(path), hint=hint)
    if lines.count(_BLANK) > 1:
        raise DataError(f"It has several lines `{_BLANK}`.", where=str(path), hint="Keep one.")
    symbols = tuple(lines) if _BLANK in lines else (_BLANK, *lines)
    return Alphabet(symbols, symbols.index(_BLANK))


def read_texts(
    path: Path, files: Sequence[Path], alphabet: Alphabet, *, folder: Path
) -> dict[Path, Text]:
    """Texts out of a CSV with a header and the columns `file` and `text`.

    Raises:
        DataError: the file is not such a CSV; a row is double, or of no file; a file has no row.
            The message has the line.
    """
    table: dict[Path, Text] = {}
    known = set(files)
    hint = 'The first line is `file,text`, then one line a file: `line1.png,"Hello, you"`.'
    try:
        with storage_errors(path), path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            if not set(_COLUMNS) <= set(reader.fieldnames or ()):
                first = ",".join(reader.fieldnames or ())
                what = f"Its first line is `{first}` and has to name the columns `file,text`."
                raise DataError(what, where=f"{path}:1", hint=hint)
            for row in reader:
                where = f"{path}:{reader.line_num}"
                if row["file"] is None or row["text"] is None or None in row:
                    what = "The row has not as many columns as the first line."
                    raise DataError(what, where=where, hint=hint)
                file = Path(PurePosixPath(row["file"].strip().replace("\\", "/")))
                if file in table or file not in known:
                    what = (
                        f"{file} has a second row."
                        if file in table
                        else (f"There is no {file} in {folder}.")
                    )
                    raise DataError(what, where=where, hint="Remove or correct the row.")
                table[file] = Text(row["text"], alphabet)
    except (csv.Error, UnicodeDecodeError) as error:
        what = f"It is not a CSV in UTF-8: {error}."
        raise DataError(what, where=str(path), hint=hint) from error
    missing = next((file for file in files if file not in table), None)
    if missing is not None:
        raise DataError(
            f"{len(files) - len(table)} of {len(files)} files have no row, the first is {missing}.",
            where=str(path),
            hint="Add a row for each file of the data set.",
        )
    return table
