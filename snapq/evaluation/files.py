"""Lists the files of a data set: always in the same order, with nothing left out unsaid."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import NoReturn

from snapq.errors import DataError
from snapq.storage import storage_errors


def list_files(
    root: Path, suffixes: Collection[str], what: str, *, labels: Path | None = None
) -> tuple[tuple[Path, ...], int]:
    """Lists the files with one of these suffixes under a folder.

    Links to folders are followed. Hidden files and folders are passed over, and so are the labels
    where they lie in the folder. A pipe or device is no file: who opens it may wait for ever.

    Args:
        root: the folder.
        suffixes: in lower case, with the dot.
        what: what such a file is, for the message.
        labels: file or folder of labels.

    Returns:
        The files, relative to `root` and sorted by path, and the number of other files.

    Raises:
        DataError: there is no such folder, or no such file in it.
        StorageError: a folder cannot be read.
    """
    check_exists(root)
    found: list[Path] = []
    others = 0
    passed = {_real(labels)} if labels is not None else set()
    with storage_errors(root):
        for place, folders, names in os.walk(root, followlinks=True, onerror=_raise):
            # A link to a folder above itself would have no end.
            passed.add(_real(Path(place)))
            folders[:] = [name for name in folders if _is_new(Path(place) / name, passed)]
            for name in names:
                if not _is_new(Path(place) / name, passed):
                    continue
                if Path(name).suffix.lower() in suffixes and (Path(place) / name).is_file():
                    found.append((Path(place) / name).relative_to(root))
                else:
                    others += 1
    if not found:
        kinds = ", ".join(sorted(suffix[1:] for suffix in suffixes))
        raise DataError(
            f"The folder holds no {what} ({others} other files)."
            if others
            else "The folder is empty.",
            where=str(root),
            hint=f"Put files into it ({kinds}).",
        )
    return tuple(sorted(found, key=Path.as_posix)), others


def check_exists(path: Path) -> None:
    """Checks that there is a file or folder. Raises `DataError`."""
    with storage_errors(path):
        if not path.exists():
            hint = "Paths in the YAML file are relative to the YAML file's folder."
            raise DataError("There is no such file or folder.", where=str(path), hint=hint)


def _is_new(path: Path, passed: set[Path]) -> bool:
    return not path.name.startswith(".") and _real(path) not in passed


def _real(path: Path) -> Path:
    """The path behind all links; of links in a circle one of them, where `resolve` raises."""
    return Path(os.path.realpath(path))


def _raise(error: OSError) -> NoReturn:
    raise error
