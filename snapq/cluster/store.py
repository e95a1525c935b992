"""Files by content on a machine with workers: each comes once, and the folder stays bounded.

The workers of a machine share the folder. A file lies under its SHA-256, is checked when it is
whole, and is removed when room is needed and it was not used for longest.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from snapq.errors import StorageError
from snapq.storage import TEMPORARY, remove_leftovers, sha256_file, storage_errors

__all__ = ["LIMIT_VARIABLE", "File", "Part", "Store", "digest", "limit_bytes"]

LIMIT_VARIABLE = "SNAPQ_CLUSTER_STORE_GB"
_USUAL_GB = 20.0
_SHARE_OF_FREE = 0.5
_LOOK_EVERY = 0.05
"""Of the limit: so much may come before the folder is looked through again."""
_IN_USE_S = 60.0
"""What was asked for so lately is about to be used."""


@dataclass(frozen=True)
class File:
    """A file by its content: all that travels of it in a task."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Part:
    """Bytes of a file on their way, from `offset` on."""

    file: File
    offset: int
    data: bytes


def limit_bytes(folder: Path) -> int:
    """What the folder may hold: 20 GB or half of what is free, or what the machine's owner says.

    Raises:
        StorageError: the folder cannot be made.
    """
    with storage_errors(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    with suppress(ValueError):
        given = float(os.environ.get(LIMIT_VARIABLE, ""))
        if given > 0:
            return int(given * 1e9)
    return int(min(_USUAL_GB * 1e9, _SHARE_OF_FREE * free))


class Store:
    """The folder; one object a process, which may be used from several threads.

    Args:
        folder: where the files lie; made where it is not there.
        limit: bytes that it may hold.

    Raises:
        StorageError: the folder cannot be made.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self.limit = limit
        self._lock = threading.Lock()
        self._added = limit  # so that the first file has the folder looked through
        with storage_errors(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path(self, file: File) -> Path:
        """Where a file lies, or would."""
        return self.folder / file.sha256[:2] / file.sha256

    def lacks(self, files: Iterable[File]) -> tuple[File, ...]:
        """Those that are not here; the others count as used."""
        return tuple(file for file in dict.fromkeys(files) if not self._is_here(file))

    def put(self, token: str, part: Part) -> None:
        """Takes a part of a file; with the last one the file is checked and in its place.

        Args:
            token: of the transfer, so that two at once do not mix.
            part: parts come in order.

        Raises:
            StorageError: the disk is full, the file is larger than the limit, or damaged.
        """
        file, path = part.file, self.path(part.file)
        if file.size > self.limit:
            raise StorageError(
                f"A file of {file.size / 1e9:.2f} GB does not fit into {self.limit / 1e9:.2f} GB.",
                where=str(self.folder),
                hint=f"Raise {LIMIT_VARIABLE} where the workers run.",
            )
        coming = path.parent / f"{TEMPORARY}{token}-{file.sha256}"
        with storage_errors(coming):
            coming.parent.mkdir(parents=True, exist_ok=True)
            with coming.open("wb" if part.offset == 0 else "r+b") as written:
                written.seek(part.offset)
                written.write(part.data)
            if part.offset + len(part.data) < file.size:
                return
        try:
            if sha256_file(coming) != file.sha256:
                raise StorageError("A file came damaged.", where=str(path), hint="Try again.")
            with storage_errors(path):
                coming.replace(path)
        finally:
            coming.unlink(missing_ok=True)
        self._make_room(file)

    def keep(self, path: Path) -> File:
        """Takes a file of this machine, which must not change afterwards. Raises `StorageError`."""
        with storage_errors(path):
            file = File(sha256_file(path), path.stat().st_size)
            if self._is_here(file):
                return file
            place = self.path(file)
            place.parent.mkdir(parents=True, exist_ok=True)
            coming = place.parent / f"{TEMPORARY}{os.getpid()}-{threading.get_ident()}"
            coming.unlink(missing_ok=True)
            try:
                os.link(path, coming)
            except OSError:  # another file system, or one without links
                shutil.copyfile(path, coming)
            coming.replace(place)
        self._make_room(file)
        return file

    def read(self, file: File, offset: int, count: int) -> bytes:
        """Bytes of a file that is here. Raises `StorageError`."""
        path = self.path(file)
        with storage_errors(path), path.open("rb") as opened:
            opened.seek(offset)
            return opened.read(count)

    def lay_out(self, file: File, place: Path) -> None:
        """Makes a file appear at `place`, without copying where the system allows that.

        Raises:
            StorageError: it is not here any more, or `place` cannot be written.
        """
        with storage_errors(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(self.path(file), place)
            except FileNotFoundError:
                raise
            except OSError:
                shutil.copyfile(self.path(file), place)

    def _is_here(self, file: File) -> bool:
        path = self.path(file)
        try:
            found = path.stat().st_size == file.size
            if found:
                os.utime(path)
        except OSError:
            return False
        return found

    def _make_room(self, newest: File) -> None:
        """Removes what was not used for longest, where there is more than the limit."""
        with self._lock:
            self._added += newest.size
            if self._added < _LOOK_EVERY * self.limit:
                return
            self._added = 0
            held = []
            for path in self.folder.glob("??/*"):
                with suppress(OSError):  # another worker removed it
                    found = path.stat()
                    if not path.name.startswith(TEMPORARY):
                        held.append((found.st_mtime, found.st_size, path))
            for folder in self.folder.glob("??"):
                remove_leftovers(folder)
            total = sum(size for _, size, _ in held)
            for used, size, path in sorted(held):
                if total <= self.limit or used > time.time() - _IN_USE_S:
                    break
                with suppress(OSError):
                    path.unlink()
                total -= size


def digest(data: bytes) -> File:
    """What bytes are called."""
    return File(hashlib.sha256(data).hexdigest(), len(data))
